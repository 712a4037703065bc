"""The mail host as those see it who own it: its servers, its accounts, mailbanned, the firewall."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from mailbanned.control import ControlError, ask
from tests.e2e.host.boot import ADDRESSES4, Host
from tests.real.netns import wait_until

CONFIG = "etc/mailbanned/conf.d/50-here.toml"
USERS = tuple(f"user{n:02}@example.org" for n in range(50))
PASSWORD = "right"  # of them all
IGNORED = ("198.51.100.224", "198.51.100.225")
STRANGERS4 = tuple(one for one in ADDRESSES4 if int(one.rpartition(".")[2]) < 224)
SMTP, SUBMISSION, IMAP, SSH, ECHO = 25, 587, 143, 22, 7


class MailHost(Host):
    """A booted host whose root folder has the layers of tests.e2e.host.install."""

    def status(self) -> dict[str, Any]:
        """What `mailbanned status --json` prints; {} while nobody answers."""
        try:
            status: dict[str, Any] = ask(self.root / "run/mailbanned/control.sock", "status")
        except (ControlError, OSError):
            return {}
        return status

    def cli(self, *arguments: str, check: bool = True) -> str:
        """A command of mailbanned, said by root."""
        return self.run("mailbanned", *arguments, check=check)

    def banned(self) -> dict[str, str]:
        """The banned subjects with their jails, as mailbanned tells."""
        jails = self.status().get("jails", ())
        return {ban["address"]: jail["name"] for jail in jails for ban in jail["bans"]}

    def denied(self) -> set[str]:
        """The networks whose packets the kernel drops; empty while firewalld has no rules."""
        chain = ("list", "chain", "inet", "firewalld", "filter_IN_public_deny")
        rules = self.namespace.exec("nft", *chain, check=False)
        found = re.findall(r"ip6? saddr (\S+) (?:counter .*)?drop", rules)
        return {str(ip_network(network)) for network in found}

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Waits until the condition is true; if it never is, fails with what mailbanned logged."""
        try:
            wait_until(condition, what)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.log()[-6000:]}") from None

    def wait_ready(self) -> None:
        """Returns when everybody answers, and mailbanned follows every log and has a firewall."""
        self.wait_booted()
        self.wait(self._is_ready, "mailbanned is at work")

    def _is_ready(self) -> bool:
        status = self.status()
        return (
            bool(status)
            and status["firewall"]["state"] == "up"
            and status["firewall"]["pending"] == 0
            and {source["state"] for source in status["sources"]} == {"following"}
        )

    def wait_denied(self, *subjects: str) -> None:
        """Returns when the kernel drops their packets."""
        self.wait(lambda: set(subjects) <= self.denied(), f"the kernel drops {subjects}")

    def log(self) -> str:
        """What mailbanned has logged since the boot."""
        return self.run("journalctl", "-b", "-o", "cat", "-u", "mailbanned", "--no-pager")

    def show(self, unit: str, key: str) -> str:
        """A property of a unit, as systemd tells it."""
        return self.run("systemctl", "show", "-P", key, unit).strip()

    def last_line(self, unit: str, *words: str) -> float:
        """When a unit last said something with all these words, by this machine's monotonic clock.

        Raises ValueError if it never did.
        """
        stamp = "_SOURCE_REALTIME_TIMESTAMP"
        options = ("-o", "json", f"--output-fields=MESSAGE,{stamp}", "--no-pager")
        records = map(json.loads, self.run("journalctl", "-u", unit, *options).splitlines())
        stamps = [
            int(record[stamp])
            for record in records
            if all(word in str(record["MESSAGE"]) for word in words)
        ]
        return max(stamps) / 1e6 - time.time() + time.monotonic()

"""A daemon at work in a lab: its log files, and what the kernel says of new rules."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from tests.real.lab import Lab
from tests.real.netns import end, wait_until

_SOL_NETLINK, _ADD_MEMBERSHIP, _NETFILTER, _NFTABLES = 270, 1, 12, 7
_CONFIG = """
[accounts]
backend = "none"
[store]
path = "{folder}/state.db"
[control]
socket = "{folder}/control.sock"
[sources.postfix]
path = "{folder}/postfix.log"
[sources.dovecot]
path = "{folder}/dovecot.log"
[sources.sshd]
path = "{folder}/secure"
[log]
format = "json"
"""
_JAILS = (
    ("postfix", "postfix", 3),
    ("postfix-sasl", "postfix", 3),
    ("postfix-rcpt-unknown", "postfix", 3),
    ("dovecot", "dovecot", 3),
    ("dovecot-unknown", "dovecot", 1),
    ("sshd", "sshd", 3),
    ("sshd-unknown", "sshd", 1),
)


class KernelRules:
    """Hears of new nftables rules in the lab's host at the moment they are committed."""

    def __init__(self, lab: Lab) -> None:
        self._socket = lab.host.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES)

    def wait_for(self, addresses: list[str], seconds: float = 60.0) -> dict[str, float]:
        """When (monotonic) a rule with each address was committed. TimeoutError if one is not."""
        wanted = {ip_address(address).packed: address for address in addresses}
        seen: dict[str, float] = {}
        deadline = time.monotonic() + seconds
        while wanted:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            message = self._socket.recv(1 << 18)
            now = time.monotonic()
            for packed in [one for one in wanted if one in message]:
                seen[wanted.pop(packed)] = now
        return seen

    def close(self) -> None:
        self._socket.close()


class Host:
    """A daemon with a real firewalld: with Host() as host: host.append("secure", lines)."""

    def __init__(self) -> None:
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.lab = undo.enter_context(Lab())
            self.folder = self.lab.directory
            self.kernel = KernelRules(self.lab)
            undo.callback(self.kernel.close)
            jails = "".join(
                f'[jails.{name}]\nsource = "{source}"\nfilter = "{name}"\nmaxretry = {maxretry}\n'
                for name, source, maxretry in _JAILS
            )
            self.config = self.folder / "mailbanned.toml"
            self.config.write_text(_CONFIG.format(folder=self.folder) + jails)
            for name in ("postfix.log", "dovecot.log", "secure"):
                (self.folder / name).touch()
            self.daemon = self._start()
            undo.callback(end, self.daemon)
            wait_until(lambda: self.status().get("firewall", {}).get("state") == "up", "it is up")
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.lab.bus_address}
        with (self.folder / "daemon.log").open("w") as log:
            return self.lab.host.popen(
                *self._command("run"), env=environment, stdout=log, stderr=log
            )

    def _command(self, *arguments: str) -> list[str]:
        return [
            str(Path(sys.executable).with_name("mailbanned")),
            "-c",
            str(self.config),
            *arguments,
        ]

    def status(self) -> dict[str, Any]:
        """The daemon's status; {} while it does not answer."""
        result = subprocess.run(
            self._command("status", "--json"), capture_output=True, text=True, check=False
        )
        status: dict[str, Any] = json.loads(result.stdout) if result.returncode == 0 else {}
        return status

    def unban_all(self) -> None:
        """Lifts every ban, and waits until the kernel has none of them."""
        subprocess.run(self._command("unban", "--all"), check=True, capture_output=True)
        wait_until(lambda: not self.lab.denied(), "no rule is left", 60.0)

    def append(self, name: str, lines: list[str]) -> float:
        """Writes lines in one go; returns when (monotonic)."""
        data = "".join(f"{line}\n" for line in lines).encode()
        with (self.folder / name).open("ab", buffering=0) as log:
            now = time.monotonic()
            log.write(data)
        return now


def invalid_user(address: str, user: str = "oracle") -> str:
    """sshd's line for a user that does not exist, with the present time."""
    stamp = time.strftime("%b %e %H:%M:%S")
    return f"{stamp} mx sshd-session[4711]: Invalid user {user} from {address} port 50122"

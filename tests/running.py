"""A real daemon as a child process, with its own folder, logs and command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from mailbanned.config import SHIPPED
from tests.command import MAILBANNED, Completed, cli

CONFIG = """
[firewall]
backend = "{backend}"
[store]
path = "{folder}/state.db"
[control]
socket = "{folder}/control.sock"
[log]
format = "keyvalue"
[sources.postfix]
path = "{folder}/postfix.log"
[sources.dovecot]
path = "{folder}/dovecot.log"
[sources.sshd]
path = "{folder}/secure"
[accounts]
{accounts}
"""

JAILS = """
[jails.postfix-sasl]
source = "postfix"
filter = "postfix-sasl"
[jails.postfix-sasl-unknown]
source = "postfix"
filter = "postfix-sasl"
accounts = "unknown"
maxretry = 1
bantime = "7d"
[jails.postfix-rcpt-unknown]
source = "postfix"
filter = "postfix-rcpt-unknown"
bantime = "7d"
[jails.sshd]
source = "sshd"
filter = "sshd"
[jails.sshd-unknown]
source = "sshd"
filter = "sshd-unknown"
maxretry = 1
bantime = "7d"
"""


def write_config(
    folder: Path, *, backend: str = "dry-run", accounts: str = 'backend = "none"', more: str = JAILS
) -> Path:
    """A configuration whose every path lies in the folder."""
    path = folder / "mailbanned.toml"
    path.write_text(CONFIG.format(folder=folder, backend=backend, accounts=accounts) + more)
    return path


def write_shipped(folder: Path, *, backend: str = "dry-run", postfix: Path | None = None) -> None:
    """The shipped configuration, with every path in the folder. postfix: where its log is."""
    shutil.copy(SHIPPED / "mailbanned.toml", folder)
    (folder / "conf.d").mkdir()
    places = CONFIG.format(folder=folder, backend=backend, accounts='backend = "none"')
    if postfix is not None:
        places = places.replace(f"{folder}/postfix.log", str(postfix))
    (folder / "conf.d" / "here.toml").write_text(places)


class Running:
    """`mailbanned run` in a folder: with Running(folder) as daemon: ...

    launch: starts a program (as Popen does) somewhere else, such as in a network namespace.
    """

    def __init__(
        self,
        folder: Path,
        *,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        launch: Callable[..., subprocess.Popen[str]] | None = None,
    ) -> None:
        self.folder = folder
        self.config = folder / "mailbanned.toml"
        self._options = options
        self._env = {**os.environ, **(env or {})}
        self._launch = launch or (lambda *argv, **o: subprocess.Popen(argv, text=True, **o))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def start(self) -> None:
        """Starts the daemon, and returns when it answers."""
        with (self.folder / "daemon.log").open("a") as log:
            self.process = self._launch(
                MAILBANNED, "-c", str(self.config), "run", *self._options,
                env=self._env, stdout=log, stderr=log,
            )  # fmt: skip
        self.wait(lambda: self.process.poll() is not None or self.status(), "the daemon answers")
        assert self.process.poll() is None, self.log()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the daemon with a signal; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def cli(self, *arguments: str, stdin: str | bytes = "") -> Completed:
        """A `mailbanned` command with the daemon's configuration."""
        return cli("-c", str(self.config), *arguments, stdin=stdin)

    def status(self) -> dict[str, Any]:
        """The status document; {} while nobody answers."""
        result = self.cli("status", "--json")
        document: dict[str, Any] = json.loads(result.stdout) if result.returncode == 0 else {}
        return document

    def jail(self, name: str) -> dict[str, Any]:
        """One jail of the status document."""
        return next(jail for jail in self.status()["jails"] if jail["name"] == name)

    def banned(self) -> dict[str, set[str]]:
        """The banned subjects by jail; jails without bans are left out."""
        jails = self.status()["jails"]
        return {j["name"]: {b["address"] for b in j["bans"]} for j in jails if j["bans"]}

    def append(self, name: str, *lines: str | bytes) -> None:
        """Lines to the end of a log, each with a line feed."""
        raw = (line.encode() if isinstance(line, str) else line for line in lines)
        with (self.folder / name).open("ab") as log:
            log.write(b"".join(line + b"\n" for line in raw))

    def log(self) -> str:
        """The daemon's own log."""
        return (self.folder / "daemon.log").read_text()

    def wait(self, condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
        """Waits until the condition is true; fails with the daemon's log if it never is."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s\n{self.log()}"
            time.sleep(0.02)

    def wait_banned(self, jail: str, subject: str) -> None:
        """Waits until a jail bans a subject."""
        self.wait(lambda: subject in self.banned().get(jail, ()), f"{jail} bans {subject}")

    def following(self) -> None:
        """Waits until what is written from now on to logs that are there is live, not caught up."""

        def is_live(source: dict[str, Any]) -> bool:
            return source["state"] == "following" or bool(source["detail"])

        def are_live() -> bool:
            sources = self.status().get("sources", [])  # none before the counts are restored
            return bool(sources) and all(map(is_live, sources))

        self.wait(are_live, "the logs are followed")

    def source(self, name: str) -> dict[str, Any]:
        """One source of the status document, as soon as it is at work; {} before."""
        sources = self.status().get("sources", ())
        return next((source for source in sources if source["name"] == name), {})

    def settled(self) -> None:
        """Waits until all that was written to the logs has been read and counted.

        A ban by a marker line, written last, says that everything before it has been handled.
        """
        self._markers = getattr(self, "_markers", 0) + 1
        marker = f"192.0.2.{self._markers}"
        for name in ("postfix.log", "secure"):
            if (self.folder / name).exists():
                self.append(name, *(sasl(marker, "marker") for _ in range(3)), ssh(marker))
        self.wait(
            lambda: any(f"{marker}/32" in subjects for subjects in self.banned().values()),
            "the marker is banned",
        )


def stamp(at: float | None = None) -> str:
    """A syslog time stamp in this host's zone; now by default."""
    return time.strftime("%b %e %H:%M:%S", time.localtime(at))


def sasl(address: str, user: str, at: float | None = None) -> str:
    """Postfix: a refused login."""
    return (
        f"{stamp(at)} mx postfix/submission/smtpd[4711]: warning: unknown[{address}]: SASL LOGIN "
        f"authentication failed: (reason unavailable), sasl_username={user}"
    )


def rcpt(address: str, recipient: str, at: float | None = None) -> str:
    """Postfix: mail for a recipient that does not exist."""
    return (
        f"{stamp(at)} mx postfix/smtpd[4712]: NOQUEUE: reject: RCPT from unknown[{address}]: "
        f"550 5.1.1 <{recipient}>: Recipient address rejected: User unknown in virtual mailbox "
        f"table; from=<a@example.net> to=<{recipient}> proto=ESMTP helo=<x>"
    )


def ssh(address: str, user: str = "oracle", at: float | None = None) -> str:
    """sshd: a user that does not exist."""
    return f"{stamp(at)} mx sshd-session[4713]: Invalid user {user} from {address} port 50122"


def ssh_password(address: str, user: str = "root", at: float | None = None) -> str:
    """sshd: a wrong password."""
    return (
        f"{stamp(at)} mx sshd-session[4714]: Failed password for {user} from {address} "
        "port 50122 ssh2"
    )

"""A real daemon as a child process, with its own folder, logs and command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from mailbanned.config import SHIPPED
from tests.command import MAILBANNED, Completed, cli
from tests.waiting import HANG_S

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
        self._markers = 0
        self._env = {**os.environ, **(env or {})}
        self._launch = launch or (lambda *argv, **o: subprocess.Popen(argv, text=True, **o))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            self._kill()

    def _kill(self) -> None:
        """Ends a daemon that did not start or does not stop: no test leaves it to the next."""
        process: subprocess.Popen[str] | None = getattr(self, "process", None)
        if process is not None:
            process.kill()
            process.wait()

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
        return self.process.wait(HANG_S)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The daemon stands still until the end of the block, and then finds all at once."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

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

    def wait(self, condition: Callable[[], object], what: str, seconds: float = HANG_S) -> None:
        """Waits until the condition is true; fails with the daemon's log if it never is."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s\n{self.log()}"
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

        In each log that a jail watches, a marker's lines come last: its ban says that everything
        before them has been handled. Logs are read side by side, so each has a marker of its own.
        """
        watched = {jail["source"] for jail in self.status()["jails"] if jail["enabled"]}
        for source, name, line, times in (
            ("postfix", "postfix.log", sasl, 3),
            ("sshd", "secure", ssh, 1),
        ):
            if source in watched and (self.folder / name).exists():
                self._markers += 1
                marker = f"198.19.255.{self._markers}"
                self.append(name, *(line(marker, "marker") for _ in range(times)))
                self.wait(partial(self._bans, marker), f"the marker in {name} is banned")

    def _bans(self, address: str) -> bool:
        return any(f"{address}/32" in subjects for subjects in self.banned().values())


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

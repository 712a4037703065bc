"""A mail host in a folder: its logs, its accounts, and the real daemon at work on them.

The daemon has the shipped configuration. Only where logs, accounts and state are, and who is
ignored, stands in a conf.d file beside it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Self

from mailbanned.config import SHIPPED
from mailbanned.control import ControlError, ask
from tests.demo.attacks import ACCOUNTS, DOVECOT, IGNORED, POSTFIX, SECURE, Entry, quiet
from tests.real.lab import Lab
from tests.real.netns import end
from tests.waiting import HANG_S

_CONFIG = """\
[defaults]
ignore = ["127.0.0.0/8", "::1", "{ignored}"]
[store]
path = "{folder}/state.db"
[control]
socket = "{folder}/control.sock"
[accounts]
backend = "sqlite"
database = "{folder}/accounts.db"
[log]
format = "text"
[sources.postfix]
path = "{folder}/{postfix}"
[sources.dovecot]
path = "{folder}/{dovecot}"
[sources.secure]               # sshd's log is a file here, not the journal
path = "{folder}/{secure}"
[jails.sshd]
source = "secure"
[jails.sshd-unknown]
source = "secure"
"""


class DaemonGone(Exception):
    """The daemon ended by itself, does not get ready, or does not answer."""


class MailHost:
    """with MailHost(lab) as host: host.write(entries)

    lab: where the daemon finds a firewalld; without one, it runs dry.
    daemon: its process; its log goes to our stderr.
    config: the configuration file, for the command line.
    """

    def __init__(self, lab: Lab | None) -> None:
        self._lab = lab
        self._written: Counter[str] = Counter()
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.folder = Path(tempfile.mkdtemp(prefix="mailbanned-demo-"))
            undo.callback(shutil.rmtree, self.folder)
            self._prepare_files()
            self.daemon = self._start()
            undo.callback(end, self.daemon)
            if not self.wait_for(_is_ready):
                raise DaemonGone(f"the daemon is not ready after {HANG_S:g} s")
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def logs(self) -> list[Path]:
        """The files that the daemon follows."""
        return [self.folder / name for name in (POSTFIX, DOVECOT, SECURE)]

    def command(self, *arguments: str) -> list[str]:
        """The command line of mailbanned for this host."""
        program = Path(sys.executable).with_name("mailbanned")
        return [str(program), "-c", str(self.config), *arguments]

    def write(self, entries: Iterable[Entry], pause: float = 0.0) -> None:
        """Appends lines to their logs, stamped with the present, `pause` seconds apart."""
        for log, line in entries:
            with (self.folder / log).open("a") as file:
                file.write(f"{time.strftime('%b %d %H:%M:%S')} {line}\n")
            self._written[log] += 1
            time.sleep(pause)

    def status(self) -> dict[str, Any]:
        """What `mailbanned status --json` prints, without starting it: it is asked for often.

        Raises DaemonGone if the daemon does not answer.
        """
        try:
            status: dict[str, Any] = ask(self.folder / "control.sock", "status")
        except ControlError as error:
            raise DaemonGone(str(error)) from None
        return status

    def has_read_all(self, status: dict[str, Any]) -> bool:
        """Whether every line that was written has been read."""
        read = {Path(path).name: one["lines"] for one in status["sources"] for path in one["paths"]}
        return all(read.get(log, 0) >= lines for log, lines in self._written.items())

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> bool:
        """Asks for the status until it meets the condition; False if it does not in good time."""
        deadline = time.monotonic() + HANG_S
        while time.monotonic() < deadline:
            if self.daemon.poll() is not None:
                raise DaemonGone(f"the daemon has ended with status {self.daemon.returncode}")
            with suppress(DaemonGone):  # it may not listen yet
                if condition(self.status()):
                    return True
            time.sleep(0.02)
        return False

    def _prepare_files(self) -> None:
        self.config = self.folder / "mailbanned.toml"
        shutil.copy(SHIPPED / "mailbanned.toml", self.config)
        own = self.folder / "conf.d" / "demo.toml"
        own.parent.mkdir()
        names = {"postfix": POSTFIX, "dovecot": DOVECOT, "secure": SECURE}
        own.write_text(_CONFIG.format(folder=self.folder, ignored=IGNORED, **names))
        with closing(sqlite3.connect(self.folder / "accounts.db")) as database, database:
            database.execute("CREATE TABLE mailbox (username TEXT PRIMARY KEY)")
            database.executemany("INSERT INTO mailbox VALUES (?)", [(one,) for one in ACCOUNTS])
        self.write(quiet())

    def _start(self) -> subprocess.Popen[str]:
        if self._lab is None:
            return subprocess.Popen(self.command("run", "--dry-run"), text=True)
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self._lab.bus_address}
        return self._lab.host.popen(*self.command("run"), env=environment)


def _is_ready(status: dict[str, Any]) -> bool:
    following = {one["state"] for one in status["sources"]} == {"following"}
    return following and status["firewall"]["state"] == "up"

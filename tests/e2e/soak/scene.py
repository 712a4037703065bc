"""The mail host of a soak: a lab, a daemon that may be killed, its logs, accounts and files."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

from mailbanned.control import Unreachable, ask
from tests.e2e.soak.logs import Log
from tests.e2e.soak.traffic import BANNED, BRIEF_S, KNOWN, Key
from tests.real.lab import Lab
from tests.real.tables import held, remove_table
from tests.running import Running, write_config
from tests.waiting import HANG_S

JAILS = f"""
[defaults]
findtime = "1d"
bantime = "7d"
[jails.harvest]
source = "postfix"
filter = "postfix-rcpt-unknown"
maxretry = {BANNED}
[jails.tally]
source = "postfix"
filter = "postfix-rcpt-unknown"
maxretry = 1000
[jails.strict]
source = "postfix"
filter = "postfix-sasl"
accounts = "unknown"
maxretry = 1
[jails.brief]
source = "sshd"
filter = "sshd-unknown"
maxretry = 1
bantime = "{BRIEF_S:g}s"
[jails.visits]
source = "sshd"
filter = "sshd-unknown"
maxretry = 1000
"""


class Daemon(Running):
    """A daemon that is looked at often: through its socket, and in its state file."""

    lives = 0

    def start(self) -> None:
        self.lives += 1
        super().start()

    def status(self) -> dict[str, Any]:
        try:
            document: dict[str, Any] = ask(self.folder / "control.sock", "status")
        except Unreachable:
            return {}
        return document

    def bans(self) -> set[Key]:
        """Who is in the ledger."""
        return {(j["name"], ban["address"]) for j in self.status()["jails"] for ban in j["bans"]}

    def saved(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query finds in the state file; only while the daemon runs."""
        with closing(sqlite3.connect(f"file:{self.folder}/state.db?mode=ro", uri=True)) as state:
            return state.execute(query, values).fetchall()

    def saved_bans(self) -> set[Key]:
        return {(jail, who) for jail, who in self.saved("SELECT jail, subject FROM bans")}

    def ended(self, jail: str) -> dict[str, float]:
        """Whose ban by a jail has ended, as the state file says, and when the last one began."""
        query = "SELECT subject, max(since) FROM history WHERE jail = ? AND ended NOT NULL"
        return dict(self.saved(f"{query} GROUP BY subject", jail))

    def counts(self, jail: str) -> Counter[str]:
        """How often each subject has failed, as it stands in the state file."""
        rows = self.saved("SELECT subject, times FROM windows WHERE jail = ?", jail)
        return Counter({subject: len(json.loads(times)) for subject, times in rows})

    def memory(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)

    def await_ban(self, key: Key) -> None:
        self.wait(lambda: self.status() and key in self.bans(), f"{key} is banned")


class Scene:
    """with Scene(folder, "firewalld") as scene: ... Everything is made and removed in here."""

    def __init__(self, folder: Path, backend: str, lab: Lab | None = None) -> None:
        self.folder = folder
        self.backend = backend
        self.verdict = "drop"
        self.accounts = folder / "accounts.db"
        self._lab = lab
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.lab = self._lab or undo.enter_context(Lab())
            undo.callback(remove_table, self.lab)
            with closing(sqlite3.connect(self.accounts)) as accounts, accounts:
                accounts.execute("CREATE TABLE mailbox (username TEXT)")
                accounts.executemany("INSERT INTO mailbox VALUES (?)", [(one,) for one in KNOWN])
            self.write_config()
            self.postfix = Log(self.folder / "postfix.log")
            self.secure = Log(self.folder / "secure")
            undo.callback(self.postfix.close)
            undo.callback(self.secure.close)
            (self.folder / "dovecot.log").touch()
            env = {"DBUS_SYSTEM_BUS_ADDRESS": self.lab.bus_address}
            made = Daemon(self.folder, env=env, launch=self.lab.host.popen)
            self.daemon = undo.enter_context(made)
            self.daemon.following()
            self.await_firewall()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def write_config(self, more: str = "") -> None:
        """The configuration as the scene wants it now."""
        backend = f'{self.backend}"\nverdict = "{self.verdict}'
        accounts = f'backend = "sqlite"\ndatabase = "{self.accounts}"\ntimeout = "60s"'
        write_config(self.folder, backend=backend, accounts=accounts, more=JAILS + more)

    def await_firewall(self) -> None:
        def is_up() -> bool:
            status = self.daemon.status()
            return bool(status) and status["firewall"]["state"] == "up"

        self.daemon.wait(is_up, "the firewall is up")

    def kernel(self) -> set[str]:
        """Whom the kernel keeps out by the backend of the day; the other one must hold nobody.

        With firewalld, interim bans of those who are banned may still be in nftables.
        """
        denied, table = self.lab.denied(), held(self.lab)
        here, elsewhere = (denied, table) if self.backend == "firewalld" else (table, denied)
        if self.backend == "firewalld":
            elsewhere -= {who for _, who in self.daemon.bans()}
        assert not elsewhere, f"left behind in the other firewall: {sorted(elsewhere)[:5]}"
        return here

    def soon(self, look: Callable[[], str]) -> None:
        """Waits until nothing is found wrong; fails with what is."""
        found = [""]

        def is_right() -> bool:
            try:
                found[0] = look()
            except AssertionError as error:  # what is only on its way out may be found, too
                found[0] = str(error)
            return not found[0]

        try:
            self.daemon.wait(is_right, "")
        except AssertionError:
            raise AssertionError(f"after {HANG_S:g} s still: {found[0]}") from None

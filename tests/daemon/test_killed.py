"""A daemon that is killed at any moment counts every line exactly once in the end."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.command import MAILBANNED
from tests.daemon.attackers import BANNED, LAST, SPARED, Attackers
from tests.running import Running, write_config

KILLS = 3
# The one bans; the other only counts, so that nothing makes it forget.
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
"""


class Mortal(Running):
    """A daemon whose state file is read while it runs, and only then.

    Whoever opens the file after a kill mends it; that is left to the next daemon.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lives = 0

    def start(self) -> None:
        """Starts the daemon; returns when its state file is ready."""
        self.lives += 1
        with (self.folder / "daemon.log").open("a") as log:
            argv = [MAILBANNED, "-c", str(self.config), "run"]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, text=True)
        self.wait(lambda: self.log().count("mailbanned is at work") == self.lives, "it is at work")

    def saved(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds in the state file now."""
        with closing(sqlite3.connect(f"file:{self.folder}/state.db?mode=ro", uri=True)) as state:
            return state.execute(query).fetchall()

    def goes_on(self, times: int, is_read: Callable[[], None]) -> None:
        """Waits until it has saved new positions N times. is_read: called for each of them."""
        seen = {frozenset(self.saved("SELECT value FROM checkpoints"))}

        def has_gone_on() -> bool:
            assert self.process.poll() is None, self.log()
            before = len(seen)
            seen.add(frozenset(self.saved("SELECT value FROM checkpoints")))
            if len(seen) > before:
                is_read()
            return len(seen) > times

        self.wait(has_gone_on, f"{times} new positions are saved")


@pytest.mark.parametrize("seed", [1, 2])
def test_every_failure_counts_exactly_once(tmp_path: Path, seed: int) -> None:
    """Killed in the middle of its work, again and again, it neither loses nor repeats a line.

    Who failed once too often is banned, once; who did not, is not; and all counts are exact.
    """
    write_config(tmp_path, more=JAILS)
    chance = random.Random(-seed)
    daemon = Mortal(tmp_path)
    attackers = Attackers(tmp_path / "postfix.log", seed)
    attackers.start()
    try:
        with daemon:
            first = "SELECT * FROM windows"
            daemon.wait(lambda: daemon.saved(first), "the first line is counted")
            attackers.noticed.set()
            for _ in range(KILLS):
                daemon.goes_on(chance.randrange(1, 6), attackers.is_read)
                time.sleep(chance.uniform(0.0, 0.03))  # to any moment of its work
                assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
                daemon.start()
            attackers.stop.set()
            attackers.join()
            assert attackers.error is None
            last = f"SELECT * FROM windows WHERE jail = 'tally' AND subject = '{LAST}/32'"
            daemon.wait(lambda: daemon.saved(last), "the last lines are counted")
            assert daemon.stop() == 0
    finally:
        attackers.stop.set()
        attackers.noticed.set()
        attackers.join()
    banned = sorted(one for one, times in attackers.failures.items() if times == BANNED)
    spared = {one: times for one, times in attackers.failures.items() if times != BANNED}
    assert set(spared.values()) == {SPARED}
    assert _counts(daemon, "tally") == attackers.failures
    assert _counts(daemon, "harvest") == spared
    for table in ("bans", "history"):
        bans = daemon.saved(f"SELECT subject, failures FROM {table} ORDER BY subject")
        assert bans == [(f"{one}/32", BANNED) for one in banned]


def _counts(daemon: Mortal, jail: str) -> Counter[str]:
    """How often each address has failed, as it stands in the state file."""
    rows = daemon.saved(f"SELECT subject, times FROM windows WHERE jail = '{jail}'")
    return Counter({subject.removesuffix("/32"): len(json.loads(times)) for subject, times in rows})

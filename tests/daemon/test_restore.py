"""What an earlier run has left, taken up by a daemon in this process."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from mailbanned.address import Subject
from mailbanned.cli.common import load
from mailbanned.daemon.daemon import Daemon
from mailbanned.model import Ban
from mailbanned.store import Changes, SQLiteStore, State
from tests.running import write_config
from tests.waiting import HANG_S

WHO = Subject("203.0.113.5/32")


class Clock:
    """The real time, and more."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


async def test_a_ban_that_ends_during_the_start_is_over(tmp_path: Path) -> None:
    """It was read from the file, and has ended when it is taken up: the file forgets it, too."""
    clock = Clock()
    config = load(write_config(tmp_path))
    store = SQLiteStore(config.file.store.path)
    await store.load(clock.now(), 3600.0)
    ban = Ban("sshd", WHO, clock.now(), clock.now() + 600.0, 1)
    await store.save(Changes((ban,), {}, {}))
    await store.close()

    class SlowStore(SQLiteStore):
        """Needs 20 minutes to be read."""

        async def load(self, now: float, findtime: float) -> State:
            state = await super().load(now, findtime)
            assert [ban.subject for ban in state.bans] == [WHO]
            clock.ahead = 1200.0
            return state

    daemon = Daemon(config, clock=clock, store=SlowStore(config.file.store.path))
    running = asyncio.create_task(daemon.run())
    async with asyncio.timeout(HANG_S):
        while _saved(config.file.store.path):  # noqa: ASYNC110 (it is a file)
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])


def _saved(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as state:
        return int(state.execute("SELECT count(*) FROM bans").fetchone()[0])

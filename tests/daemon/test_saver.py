"""What is saved together, and that it is saved once."""

from __future__ import annotations

import asyncio
import time

from mailbanned.address import Subject
from mailbanned.clock import SystemClock
from mailbanned.daemon.writer import Saver
from mailbanned.model import Ban
from mailbanned.store import Changes, MemoryStore, StoreError
from tests.waiting import HANG_S

SUBJECT = Subject("203.0.113.5/32")


async def test_a_ban_ends_the_counts_that_led_to_it() -> None:
    """Saved in the middle of a block, a ban takes its saved counts along; a ban by hand does not.

    Else they would be there after a kill, and the first failure after the ban would renew it.
    """
    store = MemoryStore()
    saver = Saver(store)
    for failures, windows in ((3, {("jail", SUBJECT): ()}), (0, {})):
        saver.read("log", {}, {("jail", SUBJECT): (1.0, 2.0)})
        await saver.save()
        saver.decided(Ban("jail", SUBJECT, 3.0, None, failures))
        await saver.save()
        assert store.saved[-1].windows == windows
        assert not store.saved[-1].marks


class SlowStore(MemoryStore):
    """Takes its time, and cannot be stopped once it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def save(self, changes: Changes) -> None:
        await super().save(changes)
        self.begun.set()
        await self.go_on.wait()


async def test_a_stop_in_the_middle_of_saving_saves_nothing_twice() -> None:
    """Cancelled while the store is writing, a save ends with it, and the last one has no more."""
    store = SlowStore()
    saver = Saver(store)
    saver.decided(Ban("jail", SUBJECT, 3.0, None, 3))
    running = asyncio.create_task(saver.run())
    await store.begun.wait()
    running.cancel()
    await asyncio.sleep(0)
    store.go_on.set()
    await asyncio.wait([running])
    assert running.cancelled()
    await saver.save()
    assert len(store.saved) == 1


class OldStore(MemoryStore):
    """Cannot tidy up at first."""

    def __init__(self) -> None:
        super().__init__()
        self.tidied: list[float] = []
        self.twice = asyncio.Event()

    async def tidy(self, now: float, findtime: float) -> None:
        assert findtime == 60.0
        self.tidied.append(now)
        if len(self.tidied) == 1:
            raise StoreError("the disk is full")
        self.twice.set()


async def test_the_store_is_tidied_again_and_again() -> None:
    """A failure is told, and does not end it."""
    store = OldStore()
    before = time.time()
    running = asyncio.create_task(Saver(store).tidy(SystemClock(), lambda: 60.0, 0.0))
    async with asyncio.timeout(HANG_S):
        await store.twice.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert before <= store.tidied[-1] <= time.time()

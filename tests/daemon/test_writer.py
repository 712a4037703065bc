"""What is saved together, and that it is saved once."""

from __future__ import annotations

import asyncio
import time

import pytest

from mailbanned.address import Subject
from mailbanned.clock import SystemClock
from mailbanned.daemon.checkpoints import Checkpoints
from mailbanned.daemon.writer import PendingChanges, StateWriter
from mailbanned.model import Ban
from mailbanned.store import Changes, CheckpointKey, MemoryStore, Store, StoreError
from tests.waiting import HANG_S

SUBJECT = Subject("203.0.113.5/32")


def writer_of(store: Store) -> tuple[PendingChanges, StateWriter]:
    pending = PendingChanges(Checkpoints({}))
    return pending, StateWriter(store, pending, dict)


async def test_a_ban_ends_the_counts_that_led_to_it() -> None:
    """Saved in the middle of a block, a ban takes its saved counts along; a ban by hand does not.

    Else they would be there after a kill, and the first failure after the ban would renew it.
    """
    store = MemoryStore()
    pending, writer = writer_of(store)
    for failures, windows in ((3, {("jail", SUBJECT): ()}), (0, {})):
        pending.record_progress("log", {}, {("jail", SUBJECT): (1.0, 2.0)})
        await writer.save()
        pending.record_decision(Ban("jail", SUBJECT, 3.0, None, failures))
        await writer.save()
        assert store.saved[-1].windows == windows
        assert not store.saved[-1].checkpoints


class FailingStore(MemoryStore):
    """Cannot save at first."""

    error = "the disk is full"

    async def save(self, changes: Changes) -> None:
        if self.error:
            raise StoreError(self.error)
        await super().save(changes)


async def test_what_cannot_be_saved_is_saved_later(capsys: pytest.CaptureFixture[str]) -> None:
    """Once the store works again; each error is logged once, and that it is over."""
    store = FailingStore()
    pending, writer = writer_of(store)
    pending.record_decision(Ban("jail", SUBJECT, 3.0, None, 0))
    pending.record_progress("log", {"8:1": "a"}, {})
    for error in ("the disk is full", "the disk is full", "the disk is gone", ""):
        store.error = error
        await writer.save()
        assert writer.error == error
        pending.record_progress("log", {"8:1": "b"}, {})
    (changes,) = store.saved
    assert len(changes.decisions) == 1
    assert changes.checkpoints == {CheckpointKey("8:1", "log"): "b"}
    logged = "".join(capsys.readouterr())
    assert logged.count("cannot save the state") == 2
    assert logged.count("the state is saved again") == 1


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
    pending, writer = writer_of(store)
    pending.record_decision(Ban("jail", SUBJECT, 3.0, None, 3))
    running = asyncio.create_task(writer.run())
    await store.begun.wait()
    running.cancel()
    await asyncio.sleep(0)
    store.go_on.set()
    await asyncio.wait([running])
    assert running.cancelled()
    await writer.save()
    assert len(store.saved) == 1


class OldStore(MemoryStore):
    """Cannot be pruned at first."""

    def __init__(self) -> None:
        super().__init__()
        self.pruned: list[float] = []
        self.twice = asyncio.Event()

    async def prune(self, now: float, findtime: float) -> None:
        assert findtime == 60.0
        self.pruned.append(now)
        if len(self.pruned) == 1:
            raise StoreError("the disk is full")
        self.twice.set()


async def test_the_store_is_pruned_repeatedly() -> None:
    """A failure is logged and does not end it."""
    store = OldStore()
    before = time.time()
    running = asyncio.create_task(writer_of(store)[1].prune(SystemClock(), lambda: 60.0, 0.0))
    async with asyncio.timeout(HANG_S):
        await store.twice.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert before <= store.pruned[-1] <= time.time()

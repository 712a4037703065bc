"""What an address that fails once costs, in bytes that Python takes, all parts of the way included.

Caches of a fixed size are made small, so that they do not matter among a few thousand addresses.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from mailbanned.cli.common import load
from mailbanned.clock import SystemClock
from mailbanned.config import Config
from mailbanned.daemon.checkpoints import Checkpoints
from mailbanned.daemon.daemon import restore_counts
from mailbanned.daemon.pipeline import Pipeline
from mailbanned.daemon.writer import PendingChanges, StateWriter
from mailbanned.jails import Engine
from mailbanned.model import Block
from mailbanned.store import Changes, SQLiteStore, Store
from tests.daemon.enforcement import NoEnforcement
from tests.running import sasl, write_config

_ADDRESSES = 20_000
_BEFORE = 1_000  # fill what is of a fixed size
_IN_A_BLOCK = 1_000
_JAIL = "postfix-sasl"
# For each address. It takes 16 bytes in the end, in arrays that have room for some more.
_COUNTED, _WAITING, _SAVING, _RESTORING = 40, 90, 200, 80


class SlowStore(SQLiteStore):
    """Saves when it may."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may = asyncio.Event()

    async def save(self, changes: Changes) -> None:
        await self.may.wait()
        await super().save(changes)


class Traced:
    """Memory that Python took since the last reset."""

    _before = 0

    def reset(self) -> None:
        _empty_caches()
        tracemalloc.reset_peak()
        self._before, _ = tracemalloc.get_traced_memory()

    def each(self) -> float:
        """Bytes for each address: now. What is at most is looked for from here on."""
        _empty_caches()
        tracemalloc.reset_peak()
        return (tracemalloc.get_traced_memory()[0] - self._before) / _ADDRESSES

    def peak(self) -> float:
        """Bytes for each address: at most."""
        return (tracemalloc.get_traced_memory()[1] - self._before) / _ADDRESSES


def _empty_caches() -> None:
    """Of functions: they remember some thousand addresses, however many there are."""
    for thing in gc.get_objects():
        if isinstance(thing, functools._lru_cache_wrapper):
            thing.cache_clear()
    gc.collect()


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    """Caches are small; the test begins to trace. What is frozen is in no list of objects."""
    gc.unfreeze()
    monkeypatch.setattr("mailbanned.jails.dedup._MAX_REMEMBERED", 100)
    monkeypatch.setattr("mailbanned.jails.routing._MAX_ROUTES", 100)
    monkeypatch.setattr("mailbanned.daemon.recent_lines._ADDRESSES", 100)
    yield Traced()
    tracemalloc.stop()
    gc.freeze()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(write_config(tmp_path))


class LineToState:
    """The way of a line from its source to the state file."""

    def __init__(self, config: Config, store: Store) -> None:
        self.engine = Engine(config.jails)
        pending = PendingChanges(Checkpoints({}))
        self.pipeline = Pipeline(
            self.engine,
            SystemClock(),
            pending,
            NoEnforcement(),
            lambda _: None,
            config.filter_sets(config.jails),
        )
        self.writer = StateWriter(store, pending, self.pipeline.changed_windows)

    async def fail(self, first: int, count: int) -> None:
        """Addresses fail once each, and are counted."""
        clock = SystemClock()
        for start in range(first, first + count, _IN_A_BLOCK):
            numbers = range(start, start + _IN_A_BLOCK)
            addresses = [str(IPv4Address((10 << 24) + 7919 * number)) for number in numbers]
            data = "".join(f"{sasl(address, 'info')}\n" for address in addresses).encode()
            block = Block(
                "postfix", data, clock.now(), clock.monotonic(), True, {"log": f"{start}"}
            )
            await self.pipeline.scheduler.put(block)
        await self.pipeline.scheduler.drain(["postfix"])

    def counted(self) -> int:
        return self.engine.jails[_JAIL].windows.failures(SystemClock().now())


@asynccontextmanager
async def at_work(config: Config, store: Store) -> AsyncIterator[LineToState]:
    """A pipeline that counts, with a loaded store."""
    clock = SystemClock()
    await store.load(clock.now(), 3600.0)
    path = LineToState(config, store)
    counting = asyncio.create_task(path.pipeline.scheduler.run())
    try:
        yield path
    finally:
        counting.cancel()
        await asyncio.wait([counting])
        await store.close()


async def test_a_million_addresses_fit_while_the_disk_is_slow(
    config: Config, traced: Traced
) -> None:
    """Those that wait to be saved take little, as do their rows; once saved they take next to
    nothing.
    """
    store = SlowStore(config.file.store.path)
    async with at_work(config, store) as path:
        await path.fail(0, _BEFORE)
        saving = asyncio.create_task(path.writer.save())
        tracemalloc.start()
        traced.reset()
        await path.fail(_BEFORE, _ADDRESSES)
        assert path.counted() == _BEFORE + _ADDRESSES
        assert traced.each() < _WAITING
        store.may.set()
        await saving
        await path.writer.save()
        assert traced.peak() < _SAVING
        assert traced.each() < _COUNTED


async def test_taking_up_counts_takes_little_more_than_they_take(
    config: Config, traced: Traced
) -> None:
    """They are never all in memory in another form than that in which they stay."""
    async with at_work(config, SQLiteStore(config.file.store.path)) as path:
        await path.fail(0, _ADDRESSES)
        await path.writer.save()
    store = SQLiteStore(config.file.store.path)
    async with at_work(config, store) as path:
        tracemalloc.start()
        traced.reset()
        await restore_counts(path.engine, store, SystemClock())
        assert path.counted() == _ADDRESSES
        assert traced.peak() < _RESTORING
        assert traced.each() < _COUNTED

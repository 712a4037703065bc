"""Haste: who writes into a watched directory is noticed at once, whatever watchfiles does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailbanned.sources import Watcher
from mailbanned.sources.file import watcher as watcher_module
from mailbanned.sources.file.inotify import InotifyBackend
from mailbanned.sources.file.watcher import Subscription
from tests.sources.rig import append
from tests.sources.test_watcher import no_free_descriptors
from tests.sources.wakeups import woken
from tests.waiting import until

_QUEUE = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


async def silent(*_: str, stop_event: asyncio.Event, **__: object) -> AsyncIterator[set[object]]:
    """As awatch, where nothing ever happens."""
    await stop_event.wait()
    yield set()


@contextlib.asynccontextmanager
async def without_watchfiles(directory: Path) -> AsyncIterator[Subscription]:
    """A reader of the directory whose watcher has only haste to tell it something."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watcher_module, "awatch", silent)
        watcher = Watcher()
        task = asyncio.create_task(watcher.run())
        try:
            with watcher.subscribe(str(directory)) as subscription:
                await woken(subscription)  # to look for the first time
                yield subscription
        finally:
            task.cancel()
            await asyncio.wait([task])


class Ear:
    """Haste at work on directories; told: what it said."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, bool]] = []
        self.haste = InotifyBackend(lambda directory, names: self.told.append((directory, names)))

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """While it runs."""
        with self.haste:
            task = asyncio.create_task(self.haste.run())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])

    def watch(self, *directories: Path) -> None:
        """As the Watcher has it watch."""
        self.haste.watch(map(str, directories))


async def test_nobody_waits_for_watchfiles(tmp_path: Path) -> None:
    """Contents and names that change are told at once, and told apart."""
    log = tmp_path / "log"
    append(log, b"one\n")
    async with without_watchfiles(tmp_path) as reader:
        append(log, b"two\n")
        assert not await woken(reader)
        log.rename(tmp_path / "log.1")
        assert await woken(reader)


async def test_a_directory_is_told_of_as_long_as_it_is_watched(tmp_path: Path) -> None:
    """What is no longer watched is not told of; what is watched still is."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    ear = Ear()
    async with ear.listening():
        ear.watch(old)
        append(old / "log", b"one\n")
        await until(lambda: ear.told == [(str(old), True), (str(old), False)])
        ear.watch(new)
        assert not ear.haste.covers(str(old))
        append(old / "log", b"two\n")
        append(new / "log", b"one\n")
        await until(lambda: (str(new), False) in ear.told)
        assert ear.told[2:] == [(str(new), True), (str(new), False)]


async def test_another_directory_of_the_same_name_is_told_of(tmp_path: Path) -> None:
    """A directory that was removed and made again is watched again."""
    place = tmp_path / "logs"
    place.mkdir()
    ear = Ear()
    async with ear.listening():
        ear.watch(place)
        place.rename(tmp_path / "away")
        place.mkdir()
        ear.watch(place)
        append(place / "log", b"one\n")
        await until(lambda: (str(place), False) in ear.told)


async def test_a_directory_made_anew_at_once_is_told_of(tmp_path: Path) -> None:
    """So is one that came back before anybody looked, and got the inode of the one before."""
    place = tmp_path / "logs"
    place.mkdir()
    ear = Ear()
    async with ear.listening():
        ear.watch(place)
        place.rmdir()
        place.mkdir()
        ear.watch(place)
        append(place / "log", b"one\n")
        await until(lambda: (str(place), False) in ear.told)
        place_is_covered = ear.haste.covers(str(place))
    assert place_is_covered


async def test_dropped_events_concern_everybody(tmp_path: Path) -> None:
    """When the kernel's queue has overflown, all readers are told to look at all."""
    ear = Ear()
    logs = [tmp_path / f"log.{number}" for number in range(2)]
    for log in logs:
        log.touch()
    async with ear.listening():
        ear.watch(tmp_path)
        with logs[0].open("ab", buffering=0) as one, logs[1].open("ab", buffering=0) as other:
            for _ in range(_QUEUE // 2 + 2):  # events of different files are not taken together
                one.write(b"x")
                other.write(b"x")
        await until(lambda: (None, True) in ear.told)


async def test_without_inotify_it_is_quiet(tmp_path: Path) -> None:
    """Where the kernel gives no queue, it covers nothing, and so is no reason to fail."""
    ear = Ear()
    with no_free_descriptors():
        ear.haste.__enter__()
    ear.watch(tmp_path)
    assert not ear.haste.covers(str(tmp_path))
    await ear.haste.run()
    ear.haste.__exit__()

"""InotifyBackend: a write in a watched directory is reported at once, without watchfiles."""

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


async def no_changes(
    *_: str, stop_event: asyncio.Event, **__: object
) -> AsyncIterator[set[object]]:
    """As awatch, where nothing ever happens."""
    await stop_event.wait()
    yield set()


@contextlib.asynccontextmanager
async def without_watchfiles(directory: Path) -> AsyncIterator[Subscription]:
    """A subscription to the directory that only inotify wakes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watcher_module, "awatch", no_changes)
        watcher = Watcher()
        task = asyncio.create_task(watcher.run())
        try:
            with watcher.subscribe(str(directory)) as subscription:
                await woken(subscription)  # to look for the first time
                yield subscription
        finally:
            task.cancel()
            await asyncio.wait([task])


class Recorder:
    """An InotifyBackend on directories; reported: what it reported."""

    def __init__(self) -> None:
        self.reported: list[tuple[str | None, bool]] = []
        self.backend = InotifyBackend(
            lambda directory, names: self.reported.append((directory, names))
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While it runs."""
        with self.backend:
            task = asyncio.create_task(self.backend.run())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])

    def watch(self, *directories: Path) -> None:
        """As the Watcher has it watch."""
        self.backend.watch(map(str, directories))


async def test_a_write_does_not_wait_for_watchfiles(tmp_path: Path) -> None:
    """Changes of contents and of names are reported at once, and told apart."""
    log = tmp_path / "log"
    append(log, b"one\n")
    async with without_watchfiles(tmp_path) as reader:
        append(log, b"two\n")
        assert not await woken(reader)
        log.rename(tmp_path / "log.1")
        assert await woken(reader)


async def test_a_directory_is_reported_while_it_is_watched(tmp_path: Path) -> None:
    """A directory that is no longer watched is not reported; one that is watched still is."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    recorder = Recorder()
    async with recorder.running():
        recorder.watch(old)
        append(old / "log", b"one\n")
        await until(lambda: recorder.reported == [(str(old), True), (str(old), False)])
        recorder.watch(new)
        assert not recorder.backend.covers(str(old))
        append(old / "log", b"two\n")
        append(new / "log", b"one\n")
        await until(lambda: (str(new), False) in recorder.reported)
        assert recorder.reported[2:] == [(str(new), True), (str(new), False)]


async def test_another_directory_of_the_same_name_is_reported(tmp_path: Path) -> None:
    """A directory that was removed and made again is watched again."""
    place = tmp_path / "logs"
    place.mkdir()
    recorder = Recorder()
    async with recorder.running():
        recorder.watch(place)
        place.rename(tmp_path / "away")
        place.mkdir()
        recorder.watch(place)
        append(place / "log", b"one\n")
        await until(lambda: (str(place), False) in recorder.reported)


async def test_a_directory_replaced_at_once_is_reported(tmp_path: Path) -> None:
    """A directory that came back before a refresh, with the same inode, is watched again."""
    place = tmp_path / "logs"
    place.mkdir()
    recorder = Recorder()
    async with recorder.running():
        recorder.watch(place)
        place.rmdir()
        place.mkdir()
        recorder.watch(place)
        append(place / "log", b"one\n")
        await until(lambda: (str(place), False) in recorder.reported)
        place_is_covered = recorder.backend.covers(str(place))
    assert place_is_covered


async def test_dropped_events_wake_all(tmp_path: Path) -> None:
    """When the kernel's queue has overflown, a change in any directory is reported."""
    recorder = Recorder()
    logs = [tmp_path / f"log.{number}" for number in range(2)]
    for log in logs:
        log.touch()
    async with recorder.running():
        recorder.watch(tmp_path)
        with logs[0].open("ab", buffering=0) as one, logs[1].open("ab", buffering=0) as other:
            for _ in range(_QUEUE // 2 + 2):  # events of different files are not taken together
                one.write(b"x")
                other.write(b"x")
        await until(lambda: (None, True) in recorder.reported)


async def test_without_inotify_nothing_is_covered(tmp_path: Path) -> None:
    """Where inotify is not available, it covers no directory and raises nothing."""
    recorder = Recorder()
    with no_free_descriptors():
        recorder.backend.__enter__()
    recorder.watch(tmp_path)
    assert not recorder.backend.covers(str(tmp_path))
    await recorder.backend.run()
    recorder.backend.__exit__()

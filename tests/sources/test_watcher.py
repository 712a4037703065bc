"""Watcher: who is woken by what, and that nothing ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailbanned.sources import Watcher
from mailbanned.sources.file import watcher as watcher_module
from mailbanned.sources.file.watcher import LOOK_S
from tests.sources.rig import append
from tests.sources.wakeups import dealt_with, is_woken, noted, quiet, settled, woken
from tests.waiting import HANG_S, until


@pytest.fixture
async def watcher(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watcher]:
    monkeypatch.setattr(watcher_module, "awatch", noted)
    watcher = Watcher()
    task = asyncio.create_task(watcher.run())
    yield watcher
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_contents_and_names_are_told_apart(watcher: Watcher, tmp_path: Path) -> None:
    """An append wakes as a change of contents; coming, going and renaming as one of names."""
    log = tmp_path / "log"
    with watcher.subscribe(str(tmp_path)) as subscription:
        await settled(subscription)
        append(log, b"one\n")
        assert await woken(subscription)
        await quiet(subscription)
        append(log, b"two\n")
        assert not await woken(subscription)
        log.rename(tmp_path / "log.1")
        assert await woken(subscription)
        (tmp_path / "log.1").unlink()
        assert await woken(subscription)


async def test_only_those_concerned_are_woken(watcher: Watcher, tmp_path: Path) -> None:
    """A change in one directory does not wake the reader of another one, nor of a child."""
    for name in ("a", "b", "a/child"):
        (tmp_path / name).mkdir()
    with (
        watcher.subscribe(str(tmp_path / "a")) as a,
        watcher.subscribe(str(tmp_path / "b")) as b,
        watcher.subscribe(str(tmp_path / "a" / "child")) as child,
    ):
        for one in (a, b, child):
            await settled(one)
        append(tmp_path / "a" / "log", b"one\n")
        assert await woken(a)
        await dealt_with(tmp_path / "a")
        assert not is_woken(b)
        assert not is_woken(child)


async def test_a_directory_that_does_not_exist_yet(watcher: Watcher, tmp_path: Path) -> None:
    """A missing directory is awaited at its nearest ancestor, through every level of it."""
    directory = tmp_path / "x" / "y" / "z"
    with watcher.subscribe(str(directory)) as subscription:
        await settled(subscription)
        (tmp_path / "other").mkdir()
        await dealt_with(tmp_path)
        assert not is_woken(subscription)
        directory.mkdir(parents=True)
        assert await woken(subscription)
        await quiet(subscription)
        append(directory / "log", b"one\n")
        assert await woken(subscription)


@pytest.mark.parametrize("how", ["remove", "rename"])
async def test_a_directory_made_anew(watcher: Watcher, tmp_path: Path, how: str) -> None:
    """A directory that goes and comes back under its name is watched again, time after time."""
    directory = tmp_path / "logs"
    directory.mkdir()
    with watcher.subscribe(str(directory)) as subscription:
        await settled(subscription)
        for round_ in range(3):
            if how == "remove":
                directory.rmdir()
            else:
                directory.rename(tmp_path / f"moved{round_}")
            assert await woken(subscription)
            directory.mkdir()
            await settled(subscription)
            append(directory / "log", b"one\n")
            assert await woken(subscription)
            (directory / "log").unlink()
            await settled(subscription)


async def test_a_directory_exchanged_in_an_instant(watcher: Watcher, tmp_path: Path) -> None:
    """A directory that is back before anybody looked is watched, even if it has the same inode."""
    directory = tmp_path / "logs"
    directory.mkdir()
    with watcher.subscribe(str(directory)) as subscription:
        await settled(subscription)
        for _ in range(3):
            directory.rmdir()
            directory.mkdir()
            await settled(subscription)
            append(directory / "log", b"one\n")
            assert await woken(subscription)
            await quiet(subscription)
            (directory / "log").unlink()
            await quiet(subscription)


async def test_several_readers_of_one_directory(watcher: Watcher, tmp_path: Path) -> None:
    """A reader that comes later, to a directory that is watched already, is woken as well."""
    with watcher.subscribe(str(tmp_path)) as first:
        await settled(first)
        with watcher.subscribe(str(tmp_path)) as second:
            await quiet(second)
            append(tmp_path / "log", b"one\n")
            assert await woken(first)
            assert await woken(second)
        await quiet(first)
        append(tmp_path / "log", b"two\n")
        await woken(first)


async def test_a_linked_directory_is_watched_for_all(watcher: Watcher, tmp_path: Path) -> None:
    """Readers that name one directory differently, through a link, are both woken."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with (
        watcher.subscribe(str(tmp_path / "real")) as real,
        watcher.subscribe(str(tmp_path / "link")) as link,
    ):
        await settled(real)
        await settled(link)
        append(tmp_path / "real" / "log", b"one\n")
        assert await woken(real)
        assert await woken(link)


async def test_everybody_looks_after_a_change_of_the_watch(
    watcher: Watcher, tmp_path: Path
) -> None:
    """When other directories are watched from now on, all readers are woken to look once."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with watcher.subscribe(str(tmp_path / "a")) as a:
        await settled(a)
        with watcher.subscribe() as b:
            b.watch([str(tmp_path / "b")])
            assert await woken(a)
            await settled(b)
            append(tmp_path / "b" / "log", b"one\n")
            assert await woken(b)
        await settled(a)
        append(tmp_path / "b" / "log", b"two\n")
        await dealt_with(tmp_path)
        assert not is_woken(a)


async def test_an_error_is_told_once_and_tried_again(watcher: Watcher, tmp_path: Path) -> None:
    """While the kernel refuses to watch, readers still look, and later they are woken again.

    What is said names the pause after which a source looks without being woken.
    """
    with capture_logs() as said, watcher.subscribe() as subscription:
        with no_free_descriptors():
            subscription.watch([str(tmp_path)])
            for _ in range(3):
                assert await woken(subscription)
        await until(lambda: watcher_threads() == 1)
        await settled(subscription)
        append(tmp_path / "log", b"one\n")
        assert await woken(subscription)
        await until(lambda: len(said) > 1, "its end is logged")
    assert [entry["log_level"] for entry in said] == ["warning", "info"]
    assert f" every {LOOK_S:g} seconds;" in said[0]["event"]


@contextlib.contextmanager
def no_free_descriptors() -> Iterator[None]:
    """Lets this process open nothing for a while, not even the kernel's event queue."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_it_stops_at_once_and_leaves_no_thread(tmp_path: Path) -> None:
    """When cancelled, the watch ends, and so does its thread, before there is anything to tell."""
    await until(lambda: watcher_threads() == 0)
    watcher = Watcher(refresh_ms=int(10_000 * HANG_S))
    task = asyncio.create_task(watcher.run())
    with watcher.subscribe(str(tmp_path)) as subscription:
        await woken(subscription)
        await until(lambda: watcher_threads() == 1)
        task.cancel()
        await asyncio.wait([task], timeout=HANG_S)
        assert task.cancelled()
    await until(lambda: watcher_threads() == 0)


def watcher_threads() -> int:
    """Threads of this process that wait for the kernel's events."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            names.append((task / "comm").read_text())
    return sum(name.startswith("notify-rs") for name in names)

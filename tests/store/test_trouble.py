"""The state file in trouble: held by another, damaged, on a full disk, or its daemon killed."""

# ruff: noqa: ASYNC240 - the tests look at the files themselves, in no hurry

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mailbanned.store import Changes, CheckpointKey, SQLiteStore, StoreError
from tests.store.support import (
    FINDTIME,
    NOW,
    ban,
    meddle,
    opened,
    refusal,
    rows,
    saved,
    state_at,
    subject,
    windows_at,
)

# A daemon that saves one ban after the other, each with the position behind its line.
DAEMON = """
import asyncio, sys
from pathlib import Path
from mailbanned.store import Changes, CheckpointKey, SQLiteStore
from tests.store.support import FINDTIME, NOW, ban
async def main():
    store = SQLiteStore(Path(sys.argv[1]))
    await store.load(NOW, FINDTIME)
    number = 0
    while True:
        number += 1
        checkpoints = {CheckpointKey("read", "log"): str(number)}
        await store.save(Changes((ban(number),), checkpoints=checkpoints))
        print(number, flush=True)
asyncio.run(main())
"""
ROOT = Path(__file__).parents[2]
OPEN_FILES = Path("/proc/self/fd")
FILE, STEP = CheckpointKey("8:1", "log"), CheckpointKey("step", "other")


@contextmanager
def running_daemon(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the state and saves all the time; it has saved twice."""
    command = [sys.executable, "-c", DAEMON, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(2)] == ["1\n", "2\n"]
            yield process
        finally:
            process.kill()


async def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    """While one store holds the state, another is told so and what to do; closing frees it."""
    path = tmp_path / "state.db"
    async with opened(path) as first:
        assert await refusal(path) == (
            f"{path}: another mailbanned is running on this state; stop it first, or give this "
            "one another [store] path"
        )
        await first.save(Changes((ban(1),)))
    assert list((await state_at(path)).bans) == [ban(1)]


async def test_the_refused_one_does_not_free_the_lock(tmp_path: Path) -> None:
    """Being refused (and closing after it) leaves the holder's lock in place, and no file open."""
    path = tmp_path / "state.db"
    async with opened(path):
        await refusal(path)
        before = len(list(OPEN_FILES.iterdir()))
        assert "another mailbanned" in await refusal(path)
        assert len(list(OPEN_FILES.iterdir())) == before


async def test_a_killed_daemon_leaves_whole_transactions(tmp_path: Path) -> None:
    """A killed daemon's lock is free at once, and decisions and positions are of one age."""
    path = tmp_path / "state.db"
    with running_daemon(path) as process:
        assert "another mailbanned" in await refusal(path)
        process.send_signal(signal.SIGKILL)
        process.wait(120)
    state = await state_at(path)
    read = int(state.checkpoints[CheckpointKey("read", "log")])
    assert read >= 2
    assert {b.subject for b in state.bans} == {subject(n) for n in range(1, read + 1)}
    assert state.banned_total == {"sshd": read}


@pytest.mark.parametrize(
    "content", [b"not a database, " * 100, b"SQLite format 3\0" + b"\xff" * 999]
)
async def test_no_database(tmp_path: Path, content: bytes) -> None:
    """A file that is something else is left as it is; the message names it and the remedy."""
    path = tmp_path / "state.db"
    path.write_bytes(content)
    text = await refusal(path)
    assert text.startswith(f"{path}: cannot be used as state file (")
    assert text.endswith("); move it away or mend its permissions")
    assert path.read_bytes() == content


async def test_newer_schema(tmp_path: Path) -> None:
    """The state of a later version is refused with both versions, not overwritten."""
    path = tmp_path / "state.db"
    await saved(path, Changes((ban(1),)))
    meddle(path, "PRAGMA user_version = 99")
    assert "it is of schema 99, this version knows 2" in await refusal(path)
    assert rows(path, "SELECT count(*) FROM bans") == [(1,)]


async def test_damaged_rows(tmp_path: Path) -> None:
    """A count that cannot be read is an error with the path, not a crash."""
    path = tmp_path / "state.db"
    await saved(path, Changes(windows={("sshd", subject(1)): (NOW,)}))
    meddle(path, "UPDATE windows SET times = '[1,'")
    with pytest.raises(StoreError) as caught:
        await windows_at(path)
    assert str(caught.value).startswith(f"{path}: cannot be used as state file (")


async def test_a_refused_file_can_be_mended(tmp_path: Path) -> None:
    """After a refusal nothing is held: once the file is moved away, the same store loads."""
    path = tmp_path / "state.db"
    path.write_bytes(b"nonsense" * 100)
    store = SQLiteStore(path)
    with pytest.raises(StoreError):
        await store.load(NOW, FINDTIME)
    path.rename(tmp_path / "away")
    assert list((await store.load(NOW, FINDTIME)).bans) == []
    await store.close()


async def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    """If one row cannot be written, none of its transaction is; the next one is saved as usual."""
    path = tmp_path / "state.db"
    async with opened(path) as store:
        await store.save(Changes((ban(1),), checkpoints={FILE: "a"}))
        bad = Changes((ban(2),), {("sshd", subject(2)): (NOW,)}, {FILE: 1j})  # type: ignore[dict-item]
        with pytest.raises(StoreError, match="cannot be written"):
            await store.save(bad)
        await store.save(Changes((ban(3),)))
    state = await state_at(path)
    assert list(state.bans) == [ban(1), ban(3)]
    assert (await windows_at(path), state.checkpoints) == ({}, {FILE: "a"})
    assert state.banned_total == {"sshd": 2}


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows beyond 200 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk(tmp_path: Path) -> None:
    """What does not fit is refused whole with path and remedy; with space it is saved later."""
    path = tmp_path / "state.db"
    much = Changes(tuple(ban(number) for number in range(2, 10_000)))
    async with opened(path) as store:
        await store.save(Changes((ban(1),)))
        with full_disk(), pytest.raises(StoreError) as caught:
            await store.save(much)
        text = str(caught.value)
        assert text.startswith(f"{path}: cannot be written (disk")
        assert text.endswith("); free space or mend permissions")
        await store.save(Changes((ban(10_000),)))
        await store.save(much)
    assert len((await state_at(path)).bans) == 10_000


async def test_cancelled_saves_are_whole(tmp_path: Path) -> None:
    """A save that is cancelled at any moment ends as cancelled, is whole, and blocks no other."""
    path = tmp_path / "state.db"
    async with opened(path) as store:
        for number in range(1, 41):
            changes = Changes((ban(number),), checkpoints={FILE: str(number)})
            task = asyncio.create_task(store.save(changes))
            for _ in range(number):
                await asyncio.sleep(0.0002 * (number % 5))
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await store.save(Changes(checkpoints={STEP: str(number)}))
    state = await state_at(path)
    assert state.checkpoints[STEP] == "40"
    kept = sorted(b.subject for b in state.bans)
    assert state.banned_total.get("sshd", 0) == len(kept)
    if kept:
        assert subject(int(state.checkpoints[FILE])) in kept


async def test_saving_needs_loading(tmp_path: Path) -> None:
    """A store that is not open says so."""
    with pytest.raises(StoreError, match="is not open"):
        await SQLiteStore(tmp_path / "state.db").save(Changes((ban(1),)))

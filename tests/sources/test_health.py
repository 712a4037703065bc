"""FileSource where a log is missing, not readable, or no log at all: said once, then followed."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from mailbanned.sources.file.reader import Tail
from tests.sources.rig import Reader, append
from tests.waiting import until

NOBODY = 65534


def warnings(said: list[EventDict]) -> list[str]:
    return [entry["event"] for entry in said if entry["log_level"] == "warning"]


@pytest.fixture
def plain_directory() -> Iterator[Path]:
    """A directory in which this process has no more rights than any user, root's or not."""
    path = Path(tempfile.mkdtemp(prefix="mailbanned-"))
    root = os.geteuid() == 0
    if root:
        os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield path
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(path)


async def test_a_missing_log_is_waited_for(tmp_path: Path) -> None:
    """A log that is not there is told once, with its path, and followed live once it appears."""
    log = tmp_path / "not" / "yet" / "mail.log"
    with capture_logs() as said:
        async with Reader(log) as reader:
            await until(lambda: bool(reader.state.detail))
            state = reader.state
            assert (state.state, state.paths) == ("waiting", ())
            assert str(log) in state.detail
            log.parent.mkdir(parents=True)
            append(log, b"one\n")
            await reader.read(b"one\n")
            assert reader.blocks[0].live
            await reader.following()
            assert reader.state.detail == ""
    assert warnings(said) == [state.detail]


async def test_a_directory_in_place_of_a_log(tmp_path: Path) -> None:
    """A directory by the name of the log is told once; the file that replaces it is followed."""
    log = tmp_path / "mail.log"
    log.mkdir()
    with capture_logs() as said:
        async with Reader(log) as reader:
            await until(lambda: "is a directory" in reader.state.detail)
            assert reader.state.state == "waiting"
            (tmp_path / "something").touch()
            (tmp_path / "else").touch()
            log.rmdir()
            append(log, b"one\n")
            await reader.read(b"one\n")
            assert reader.state.detail == ""
    assert len(warnings(said)) == 1


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
async def test_what_is_no_file_is_never_opened(tmp_path: Path, kind: str) -> None:
    """A FIFO, socket or device is refused without blocking, while other matches are followed."""
    path = tmp_path / "a.log"
    listener = socket.socket(socket.AF_UNIX)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        listener.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    with listener:
        append(tmp_path / "b.log", b"one\n")
        async with Reader(tmp_path / "*.log") as reader:
            await reader.read(b"one\n")
            await until(lambda: "no regular file" in reader.state.detail)
            assert reader.state.paths == (str(tmp_path / "b.log"),)
            assert reader.state.state == "following"


async def test_opening_never_blocks(tmp_path: Path) -> None:
    """Even a FIFO that took the place of a log in the last moment is refused at once."""
    path = tmp_path / "mail.log"
    os.mkfifo(path)
    opening = asyncio.create_task(Tail.open(str(path)))
    await asyncio.wait([opening], timeout=5)
    blocked = not opening.done()
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # lets go of a reader that waits
    with pytest.raises(OSError, match="no regular file"):
        await opening
    assert not blocked


async def test_an_unreadable_log_is_tried_again(plain_directory: Path) -> None:
    """A log without permission is told once; when permitted, its old lines are no live ones."""
    log = plain_directory / "mail.log"
    append(log, b"one\n")
    log.chmod(0)
    with capture_logs() as said:
        async with Reader(log) as reader:
            await until(lambda: reader.state.state == "unreadable")
            assert str(log) in reader.state.detail
            assert "Permission denied" in reader.state.detail
            (plain_directory / "something").touch()
            log.chmod(0o600)
            await reader.read(b"one\n")
            assert not reader.blocks[0].live
            await reader.following()
    assert len(warnings(said)) == 1


async def test_permission_lost_and_regained(plain_directory: Path) -> None:
    """An open log is read on without permission, and a successor as soon as it is permitted."""
    log = plain_directory / "mail.log"
    append(log, b"one\n")
    async with Reader(log) as reader:
        await reader.read(b"one\n")
        log.chmod(0)
        log.rename(log.with_suffix(".1"))
        log.touch(mode=0)
        await until(lambda: reader.state.state == "unreadable")
        log.chmod(0o600)
        append(log, b"two\n")
        await reader.read(b"one\ntwo\n")
        assert reader.blocks[-1].live


async def test_a_log_below_a_closed_directory(plain_directory: Path) -> None:
    """A directory that may not be entered is told as such, and entered once it may be."""
    log = plain_directory / "closed" / "mail.log"
    log.parent.mkdir()
    append(log, b"one\n")
    log.parent.chmod(0)
    async with Reader(log) as reader:
        await until(lambda: reader.state.state == "unreadable")
        log.parent.chmod(0o700)
        await reader.read(b"one\n")


async def test_a_read_error_leaves_other_files_alone(tmp_path: Path) -> None:
    """A file whose reads fail (EIO) is told once and tried again; others go on meanwhile."""
    bad, good = tmp_path / "bad.log", tmp_path / "good.log"
    bad.symlink_to("/proc/self/mem")  # a regular file that cannot be read at its start
    with capture_logs() as said:
        async with Reader(tmp_path / "*.log") as reader:
            await until(lambda: reader.state.state == "unreadable")
            append(good, b"one\n")
            await reader.read(b"one\n")
            reader.clock.ahead += 5
            append(good, b"two\n")
            await reader.read(b"one\ntwo\n")
            bad.unlink()
            append(bad, b"three\n")
            await reader.read(b"one\ntwo\nthree\n")
            assert reader.state.detail == ""
    assert len(warnings(said)) == 1

"""One open file and its position: what it reads ahead, and what it makes of a file that changes."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from mailbanned.sources.file.checkpoint import HEAD_BYTES
from mailbanned.sources.file.rawfile import PlainFile
from mailbanned.sources.file.reader import AHEAD, Rewritten, Tail
from tests.sources.rig import Reader, append
from tests.waiting import until

CHUNK = 1000


def lines(first: int, last: int) -> bytes:
    return b"".join(b"%09d\n" % number for number in range(first, last))


async def opened(path: Path) -> Tail:
    one = await Tail.open(str(path), chunk_bytes=CHUNK)
    await one.set_start(0)
    return one


async def test_a_backlog_comes_out_in_chunks_and_in_order(tmp_path: Path) -> None:
    """Whatever is read ahead, each byte comes out once, and no block is longer than a chunk."""
    log = tmp_path / "log"
    log.write_bytes(lines(0, 5000))
    one = await opened(log)
    blocks = []
    while not one.at_end:
        blocks.append(await one.read(AHEAD))
        if len(blocks) == 5:
            append(log, lines(5000, 6000))
    assert b"".join(blocks) == lines(0, 6000)
    assert max(map(len, blocks)) <= CHUNK
    assert one.lag() == 0
    await one.raw.close()


async def test_what_was_read_ahead_is_not_lost_when_the_log_is_emptied(tmp_path: Path) -> None:
    """It comes out, and then it is noticed that the log was written anew."""
    log = tmp_path / "log"
    log.write_bytes(lines(0, 5000))
    one = await opened(log)
    found = await one.read(AHEAD)
    log.write_bytes(lines(9000, 9900))
    with suppress(Rewritten):
        for _ in range(100):
            found += await one.read(AHEAD)
    assert found == lines(0, AHEAD * CHUNK // 10)
    one.give_up_position()
    await one.set_start(0)
    assert await one.read() == lines(9000, 9100)
    await one.raw.close()


async def test_a_backlog_that_is_copied_and_truncated(tmp_path: Path) -> None:
    """What was not read ahead of it comes out of the copy, however much later the log goes on."""
    log, copy = tmp_path / "log", tmp_path / "log.1"
    log.write_bytes(lines(0, 5000))
    then = log.stat().st_mtime - 3600
    os.utime(log, (then, then))
    reader = Reader(log, chunk_bytes=CHUNK)
    reader.gate.clear()
    async with reader:
        await until(lambda: reader.state.lines > 0)
        shutil.copy2(log, copy)
        os.utime(copy, (then + 10, then + 10))
        os.truncate(log, 0)
        append(log, lines(9000, 9100))
        reader.gate.set()
        await reader.read(lines(0, 5000) + lines(9000, 9100))


async def test_a_damaged_log_that_is_emptied_as_it_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its position is not forgotten, so that a copy of it is known."""
    log = tmp_path / "log"
    log.write_bytes(lines(0, 200))
    tail = await opened(log)
    await tail.read()
    await tail.read()
    checkpoint = tail.checkpoint(str(log))
    assert checkpoint is not None
    log.write_bytes(lines(0, 160) + b"\0" * 400)
    read_at = type(tail.raw).read_at

    async def read_and_emptied(self: PlainFile, offset: int, size: int) -> bytes:
        data = await read_at(self, offset, size)
        if (offset, size) == (0, HEAD_BYTES):
            os.truncate(log, 0)
        return data

    monkeypatch.setattr(type(tail.raw), "read_at", read_and_emptied)
    assert await tail.resume_nearby(checkpoint)
    again = tail.checkpoint(str(log))
    assert again is not None
    assert (again.key, again.offset, again.head) == (checkpoint.key, 2000, checkpoint.head)
    await tail.raw.close()

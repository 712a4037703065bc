"""NUL bytes in front of a line: what a power failure or a writer without O_APPEND leaves behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailbanned.logformat.messages import MAX_LINE, SplitMessages, split_messages
from tests.runtimes import cri
from tests.sources.rig import Reader, append

HOLES = [1, 300, MAX_LINE + 1, 3 * 1024 * 1024]


@pytest.mark.parametrize("size", HOLES)
async def test_nuls_are_no_part_of_the_next_line(tmp_path: Path, size: int) -> None:
    """However many NUL bytes come before a line, the line is handed on without them."""
    log = tmp_path / "mail.log"
    append(log, b"before\n")
    async with Reader(log) as reader:
        await reader.read(b"before\n")
        append(log, b"\0" * size)
        append(log, b"be")
        append(log, b"hind\nlast\n")
        await reader.read(b"before\nbehind\nlast\n")
    append(log, b"\0" * size + b"later\n")
    async with Reader(log, reader.marks) as again:
        await again.read(b"later\n")


@pytest.mark.parametrize("size", HOLES)
async def test_copytruncate_under_a_writer_that_does_not_append(tmp_path: Path, size: int) -> None:
    """It goes on where it was: before that there is a hole, and the lines behind it are read."""
    log = tmp_path / "mail.log"
    with log.open("wb", buffering=0) as server:
        server.write(b"first %d\n" % size + b"." * (size - 1) + b"\n")
        async with Reader(log) as reader:
            await reader.following()
            read = reader.data
            for number in range(3):
                os.truncate(log, 0)
                server.write(b"%d after the hole\nand more\n" % number)
                read += b"%d after the hole\nand more\n" % number
                await reader.read(read)
    async with Reader(log, reader.marks) as again:
        append(log, b"last\n")
        await again.read(b"last\n")


async def test_a_power_failure(tmp_path: Path) -> None:
    """What was read and not on the disk yet is NULs afterwards: what follows is read, once."""
    log = tmp_path / "mail.log"
    append(log, b"%063d\n" * 20 % tuple(range(20)))
    async with Reader(log) as reader:
        await reader.read(log.read_bytes())
    with log.open("r+b") as disk:
        disk.seek(10 * 64)
        disk.write(b"\0" * (10 * 64))
    append(log, b"after the failure\n")
    async with Reader(log, reader.marks) as again:
        await again.read(b"after the failure\n")


async def test_a_file_system_that_lost_the_end(tmp_path: Path) -> None:
    """A log that is shorter than what was read of it is read on from its new end."""
    log = tmp_path / "mail.log"
    append(log, b"%063d\n" * 20 % tuple(range(20)))
    async with Reader(log) as reader:
        await reader.read(log.read_bytes())
    os.truncate(log, 10 * 64)
    async with Reader(log, reader.marks) as again:
        await again.following()
        append(log, b"after the failure\n")
        await again.read(b"after the failure\n")


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_nuls_in_any_pieces(at_once: int) -> None:
    """The lines are the same in whatever pieces the bytes come; NULs inside a line stay."""
    data = b"\0\0one\n\0two\0\n\0\0\0\n" + b"\0" * 20 + cri("three") + b"\0\0" + cri("four")
    taken, rest, inside = b"", b"", 0
    for start in range(0, len(data), at_once):
        rest += data[start : start + at_once]
        lines, end, inside = split_messages(rest, 0, inside)
        taken, rest = taken + lines, rest[end:]
    assert taken == split_messages(data).lines
    assert taken.startswith(b"one\ntwo\0\n\n")
    assert taken.endswith(cri("three") + cri("four"))
    assert not rest


def test_nothing_but_nuls() -> None:
    """They are taken, and no line comes of them."""
    assert split_messages(b"\0" * 100) == SplitMessages(b"", 100, 0)

"""Logs that all begin with the same line, which says nothing about which of them it is."""

# ruff: noqa: ASYNC240 - the tests write the logs themselves, in no hurry

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tests.sources.rig import Reader, append

HEADER = b"# This log was begun by the service itself\n"


def lines(first: int, end: int) -> bytes:
    return b"".join(b"%04d a line of some length\n" % number for number in range(first, end))


@pytest.mark.parametrize("packed", [False, True])
async def test_rotated_while_down(tmp_path: Path, packed: bool) -> None:
    """A new log that holds the header only does not pass for the old one: its rest is read."""
    log, old = tmp_path / "mail.log", tmp_path / "mail.log.1"
    append(log, HEADER + lines(0, 20))
    async with Reader(log) as reader:
        await reader.read(HEADER + lines(0, 20))
    append(log, lines(20, 30))
    log.rename(old)
    if packed:
        Path(f"{old}.gz").write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
    append(log, HEADER)
    async with Reader(log, reader.marks) as again:
        await again.read(lines(20, 30) + HEADER)
        append(log, lines(30, 40))
        await again.read(lines(20, 30) + HEADER + lines(30, 40))
    async with Reader(log, again.marks) as last:
        await last.following()
        append(log, lines(40, 41))
        await last.read(lines(40, 41))


async def test_rotated_while_followed(tmp_path: Path) -> None:
    """The old log is read to its end, and what is written into it later; then the new one."""
    log, old = tmp_path / "mail.log", tmp_path / "mail.log.1"
    append(log, HEADER + lines(0, 20))
    async with Reader(log) as reader:
        await reader.read(HEADER + lines(0, 20))
        reader.gate.clear()
        append(log, lines(20, 30))
        log.rename(old)
        append(log, HEADER)
        reader.gate.set()
        await reader.read(HEADER + lines(0, 30) + HEADER)
        append(old, lines(30, 31))
        await reader.read(HEADER + lines(0, 30) + HEADER + lines(30, 31))
        append(log, lines(31, 40))
        await reader.read(HEADER + lines(0, 30) + HEADER + lines(30, 40))
    async with Reader(log, reader.marks) as again:
        append(log, lines(40, 41))
        await again.read(lines(40, 41))


async def test_copied_and_truncated(tmp_path: Path) -> None:
    """What was not read before the copy comes out of the copy."""
    log, copy = tmp_path / "mail.log", tmp_path / "mail.log.1"
    append(log, HEADER + lines(0, 20))
    async with Reader(log) as reader:
        await reader.read(HEADER + lines(0, 20))
    append(log, lines(20, 30))
    copy.write_bytes(log.read_bytes())
    os.truncate(log, 0)
    append(log, HEADER)
    async with Reader(log, reader.marks) as again:
        await again.read(lines(20, 30) + HEADER)
        append(log, lines(30, 35))
        await again.read(lines(20, 30) + HEADER + lines(30, 35))

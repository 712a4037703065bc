"""Servers write into a renamed log until they are reloaded, though it was not open until then."""

# ruff: noqa: ASYNC240 - the tests write the logs themselves, in no hurry

from __future__ import annotations

from pathlib import Path

import pytest

from mailbanned.sources.file.watcher import LOOK_S
from tests.sources.rig import Reader, append, long_ago


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_bytes(b"a line of today\n")
    return path


@pytest.mark.parametrize("begun", [b"", b"a late"])
async def test_a_log_that_was_rotated_without_a_line(log: Path, begun: bytes) -> None:
    """Its first line is read when it comes, though nothing changes in the folder by then."""
    async with Reader(log) as reader:
        await reader.read(b"a line of today\n")
    log.rename(f"{log}.2")
    rotated = Path(f"{log}.1")
    rotated.write_bytes(begun)
    append(log, b"the next line\n")
    long_ago(log.parent)
    async with Reader(log, reader.marks) as again:
        await again.read(b"the next line\n")
        again.clock.ahead += LOOK_S
        append(rotated, b"a late line\n".removeprefix(begun))
        await again.read(b"the next line\na late line\n")


async def test_a_rotated_log_that_was_there_before_the_first_look(log: Path) -> None:
    """What it held then is not read; what the server still writes into it is."""
    rotated = Path(f"{log}.1")
    rotated.write_bytes(b"a line of yesterday\n")
    long_ago(log.parent)
    async with Reader(log) as reader:
        await reader.read(b"a line of today\n")
        reader.clock.ahead += LOOK_S
        append(rotated, b"a late line\n")
        await reader.read(b"a line of today\na late line\n")


async def test_a_copy_that_was_rotated_before_it_was_seen(log: Path) -> None:
    """A copy took the place of the log and was rotated: late lines in it are read, others not."""
    rotated = Path(f"{log}.1")
    async with Reader(log) as reader:
        await reader.read(b"a line of today\n")
        reader.gate.clear()
        append(log, b"another line\n")
        rotated.write_bytes(log.read_bytes())
        log.unlink()
        append(log, b"the next line\n")
        long_ago(log.parent)
        reader.gate.set()
        await reader.read(b"a line of today\nanother line\nthe next line\n")
        reader.clock.ahead += LOOK_S
        append(rotated, b"a late line\n")
        await reader.read(b"a line of today\nanother line\nthe next line\na late line\n")

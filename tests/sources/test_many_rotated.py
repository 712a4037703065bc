"""FileSource leaves rotated files alone that were there before, many or packed in a foreign way."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import time
from pathlib import Path

import pytest

from mailbanned.sources.file.checkpoint import HEAD_BYTES, SavedCheckpoints
from mailbanned.sources.file.rawfile import GzipFile
from tests.sources.rig import Reader, append
from tests.waiting import until

_DAY_S = 86400


def _make(path: Path, data: bytes, days_ago: int) -> None:
    path.write_bytes(data)
    os.utime(path, (time.time() - days_ago * _DAY_S,) * 2)


async def test_rotated_files_beyond_those_noted_at_first_are_not_read(tmp_path: Path) -> None:
    """However many rotated files were there at the first start, a rotation reads none of them."""
    log = tmp_path / "mail.log"
    for number in range(1, 50):
        _make(tmp_path / f"mail.log.{number}", b"a line of %d days ago\n" % number, number)
    append(log, b"a line of today\n")
    async with Reader(log) as reader:
        await reader.read(b"a line of today\n")
        for number in range(49, 0, -1):
            (tmp_path / f"mail.log.{number}").rename(tmp_path / f"mail.log.{number + 1}")
        log.rename(tmp_path / "mail.log.1")
        append(log, b"the next line\n")
        await reader.read(b"a line of today\nthe next line\n")
    append(log, b"the last line\n")
    async with Reader(log, reader.marks) as again:
        await again.read(b"the last line\n")


async def test_logs_whose_checkpoints_made_room_for_others_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more rotated files than checkpoints are kept, a restart reads what is new, no more."""
    monkeypatch.setattr(SavedCheckpoints, "MOST", 8)
    logs = [tmp_path / f"{name}.log" for name in "abcd"]
    for log in logs:
        for number in range(1, 5):
            line = b"%d days ago in %s\n" % (number, log.name.encode())
            _make(tmp_path / f"{log.name}.{number}", line, number)
        append(log, b"today in %s\n" % log.name.encode())
    async with Reader(tmp_path / "*.log") as reader:
        await reader.read(b"".join(b"today in %s\n" % log.name.encode() for log in logs))
    async with Reader(tmp_path / "*.log", reader.marks) as again:
        await until(lambda: len(again.state.paths) == 4)
        append(logs[3], b"a new line\n")
        await again.read(b"a new line\n")


async def test_a_clock_that_was_set_back_hides_no_file(tmp_path: Path) -> None:
    """What was rotated while we were down is read though the clock had been set back."""
    log = tmp_path / "mail.log"
    append(log, b"a line of today\n")
    async with Reader(log) as reader:
        await reader.read(b"a line of today\n")
    _make(tmp_path / "mail.log.2", b"a line of today\nrest\n", 2)
    _make(tmp_path / "mail.log.1", b"a whole other log\n", 1)
    log.unlink()
    append(log, b"the next line\n")
    async with Reader(log, reader.marks) as again:
        await again.read(b"rest\na whole other log\nthe next line\n")


async def test_a_noted_file_is_not_called_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rotated file that was never read is followed after a restart without a complaint."""
    log = tmp_path / "mail.log"
    _make(tmp_path / "mail.log.1", b"a line of yesterday\n", 1)
    append(log, b"a line of today\n")
    async with Reader(log) as reader:
        await reader.read(b"a line of today\n")
    async with Reader(log, reader.marks) as again:
        await again.following()
        append(tmp_path / "mail.log.1", b"a late line\n")
        await again.read(b"a late line\n")
    told = capsys.readouterr()
    assert "damaged" not in told.out + told.err


async def test_what_was_read_and_then_packed_with_xz_is_no_trouble(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was read to its end is not missed when only a packed copy of it is left."""
    log, rotated = tmp_path / "mail.log", tmp_path / "mail.log-20260501"
    append(log, b"a line of today\n")
    async with Reader(log) as reader:
        await reader.read(b"a line of today\n")
        log.rename(rotated)
        packed = tmp_path / "mail.log-20260501.xz"
        packed.write_bytes(lzma.compress(rotated.read_bytes()))
        shutil.copystat(rotated, packed)
        rotated.unlink()
        append(log, b"the next line\n")
        await reader.read(b"a line of today\nthe next line\n")
    told = capsys.readouterr()
    assert "unpacked" not in told.out + told.err


async def test_a_packed_file_that_ends_in_a_half_line_is_unpacked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read of a packed file up to a half line is not unpacked again at every restart."""
    unpacked_bytes: list[int] = []
    read_at = GzipFile.read_at

    async def noted(self: GzipFile, offset: int, size: int) -> bytes:
        unpacked_bytes.append(size)
        return await read_at(self, offset, size)

    monkeypatch.setattr(GzipFile, "read_at", noted)
    log, packed = tmp_path / "mail.log", tmp_path / "mail.log.1.gz"
    append(log, b"a line of today\n")
    async with Reader(log) as reader:
        await reader.read(b"a line of today\n")
    append(log, b"the last line\n" * 1000 + b"half a li")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    append(log, b"the next line\n")
    async with Reader(log, reader.marks) as again:
        await again.read(b"the last line\n" * 1000 + b"the next line\n")
    assert max(unpacked_bytes) > HEAD_BYTES
    unpacked_bytes.clear()
    append(log, b"and another line\n")
    async with Reader(log, again.marks) as third:
        await third.read(b"and another line\n")
    assert max(unpacked_bytes) == HEAD_BYTES

"""FileSource over restarts: marks from the last run, and where to begin without one."""

# ruff: noqa: ASYNC240 - the tests write the logs themselves, in no hurry

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from mailbanned.sources.file.start_offset import find_start_offset
from tests.sources.rig import Age, Reader, append, long_ago
from tests.waiting import until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_bytes(b"one\ntwo\n")
    return path


async def marks_of(pattern: Path | str) -> Mapping[str, str]:
    """A run that reads everything there is; its marks."""
    async with Reader(pattern) as reader:
        await until(lambda: reader.state.lines > 0)
        await reader.following()
        return reader.marks


async def test_a_restart_reads_on(log: Path) -> None:
    """After a restart exactly the lines since the mark come, as caught up, then live ones."""
    append(log, b"ha")
    marks = await marks_of(log)
    append(log, b"lf\nthree\n")
    async with Reader(log, marks) as reader:
        await reader.read(b"half\nthree\n")
        await reader.following()
        append(log, b"four\n")
        await reader.read(b"half\nthree\nfour\n")
        assert [block.live for block in reader.blocks] == [False, True]


async def test_nothing_new_since_the_mark(log: Path) -> None:
    """With nothing new to read, the next line after a restart is live."""
    marks = await marks_of(log)
    async with Reader(log, marks) as reader:
        await reader.following()
        append(log, b"three\n")
        await reader.read(b"three\n")
        assert reader.blocks[0].live


async def test_marks_hold_no_log_text(log: Path) -> None:
    """A mark is stored, so it must not carry names from the log."""
    log.write_bytes(b"Invalid user alice-secret\n")
    text = "".join((await marks_of(log)).values())
    assert "alice-secret" not in text
    assert b"alice-secret".hex() not in text
    assert json.loads(text)["offset"] == 26


@pytest.mark.parametrize("created", [True, False])
async def test_rotated_while_down(log: Path, created: bool) -> None:
    """The rest of a file that was renamed while nobody looked comes first, then the new file."""
    marks = await marks_of(log)
    append(log, b"rest\n")
    log.rename(log.with_suffix(".1"))
    if created:
        append(log, b"new\n")
    async with Reader(log, marks) as reader:
        await until(lambda: b"rest\n" in reader.data)
        if not created:
            append(log, b"new\n")
        await reader.read(b"rest\nnew\n")
        assert not reader.blocks[0].live
        append(log.with_suffix(".1"), b"late\n")
        await reader.read(b"rest\nnew\nlate\n")


@pytest.mark.parametrize("begun", [b"", b"half a li"])
async def test_rotated_while_down_before_its_first_line_ends(log: Path, begun: bytes) -> None:
    """A rotated file without a whole line is read once it has one, though no name has changed."""
    marks = await marks_of(log)
    rotated = log.with_name("mail.log.1")
    log.rename(log.with_name("mail.log.2"))
    append(rotated, begun)
    append(log, b"new\n")
    long_ago(log.parent)
    async with Reader(log, marks) as reader:
        await reader.read(b"new\n")
        await reader.following()
        append(rotated, b"ne\n")
        reader.clock.ahead += 3600
        append(log, b"newer\n")
        await reader.read(b"new\n" + begun + b"ne\nnewer\n")


async def test_restarted_while_a_rotated_file_lingers(log: Path) -> None:
    """Of a renamed and a new file, both still read at the stop, neither loses or repeats a line."""
    async with Reader(log) as reader:
        await reader.read(b"one\ntwo\n")
        log.rename(log.with_suffix(".1"))
        append(log, b"new\n")
        await reader.read(b"one\ntwo\nnew\n")
        marks = reader.marks
    append(log.with_suffix(".1"), b"late\n")
    append(log, b"newer\n")
    async with Reader(log, marks) as reader:
        await reader.read(b"late\nnewer\n")


async def test_rotated_and_gone(log: Path) -> None:
    """If the marked file is gone, its successor is read from the start, as caught up."""
    marks = await marks_of(log)
    log.unlink()
    log.with_suffix(".holds-the-inode").touch()
    append(log, b"new\n")
    async with Reader(log, marks) as reader:
        await reader.read(b"new\n")
        assert not reader.blocks[0].live


@pytest.mark.parametrize("regrown", [b"x\n", b"other line, far beyond the old offset\n" * 9])
async def test_truncated_while_down(log: Path, regrown: bytes) -> None:
    """A file that was emptied while nobody looked is read from its start, grown again or not."""
    marks = await marks_of(log)
    os.truncate(log, 0)
    append(log, regrown)
    async with Reader(log, marks) as reader:
        await reader.read(regrown)


async def test_restored_from_a_copy_while_down(log: Path) -> None:
    """A file with another inode but the same content goes on at the mark."""
    marks = await marks_of(log)
    log.rename(log.with_suffix(".bak"))
    log.write_bytes(b"one\ntwo\nthree\n")
    async with Reader(log, marks) as reader:
        await reader.read(b"three\n")


async def test_marks_of_absent_files_are_kept(tmp_path: Path) -> None:
    """A volume that is not there at a restart keeps its mark, and is read on when it returns."""
    here, away = tmp_path / "here" / "log", tmp_path / "away" / "log"
    for path in (here, away):
        path.parent.mkdir()
        append(path, b"old\n")
    async with Reader(tmp_path / "*" / "log") as reader:
        await reader.read(b"old\nold\n")
        marks = reader.marks
    away.parent.rename(tmp_path / "hidden.away")
    append(here, b"one\n")
    async with Reader(tmp_path / "????" / "log", marks) as reader:
        await reader.read(b"one\n")
        assert len(reader.marks) == 2
        (tmp_path / "hidden.away").rename(away.parent)
        append(away, b"two\n")
        await reader.read(b"one\ntwo\n")


async def test_marks_of_other_paths_are_forgotten(log: Path) -> None:
    """A mark for a path that is no longer configured opens nothing and is not kept."""
    marks = await marks_of(log)
    append(log, b"three\n")
    other = log.with_name("other.log")
    async with Reader(other, marks) as reader:
        append(other, b"other\n")
        await reader.read(b"other\n")
        assert len(reader.marks) == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"path": 1}', "{"])
async def test_a_broken_mark_counts_for_nothing(log: Path, text: str) -> None:
    """With marks that cannot be read, the source starts as if for the first time."""
    async with Reader(log, {"1:2": text}) as reader:
        await reader.read(b"one\ntwo\n")


async def test_first_start_begins_at_the_first_line_that_counts(log: Path) -> None:
    """Of a log of 200,000 lines only the recent ones are read, found by a few dozen looks."""
    calls = 0

    def is_expired(line: bytes) -> bool | None:
        nonlocal calls
        calls += 1
        return None if line.startswith(b"\t") else int(line[:7]) < 150_321

    lines = (b"%07d some line\n%s" % (n, b"\tno stamp\n" * (n % 3)) for n in range(200_000))
    log.write_bytes(b"".join(lines))
    async with Reader(log, is_expired=is_expired) as reader:
        await reader.following()
        stamped = [line for line in reader.data.splitlines() if not line.startswith(b"\t")]
        assert stamped == [b"%07d some line" % n for n in range(150_321, 200_000)]
        assert calls <= 100
        assert not any(block.live for block in reader.blocks)


async def test_first_start_with_old_lines_only(log: Path) -> None:
    """Nothing is read of a log that is too old throughout; what is appended then is live."""
    log.write_bytes(b"old line\n" * 1000)
    async with Reader(log, is_expired=lambda line: line.startswith(b"old")) as reader:
        await reader.following()
        append(log, b"new\n")
        await reader.read(b"new\n")
        assert reader.blocks[0].live


@pytest.mark.parametrize("old", [0, 1, 2, 17, 99, 100])
@pytest.mark.parametrize("end", [b"", b"half"])
async def test_the_start_is_found_exactly(old: int, end: bytes) -> None:
    """Whatever the share of old lines, the first line that is not old is found to the byte."""
    lines = [b"%d%s\n" % (n < old, b"-" * (n * 7 % 50)) for n in range(100)]
    log = b"".join(lines) + end

    async def read_at(offset: int, size: int) -> bytes:
        return log[offset : offset + size]

    start = await find_start_offset(read_at, len(log), Age(lambda line: line.startswith(b"1")))
    assert start == len(b"".join(lines[:old]))


@pytest.mark.parametrize("gap", [b"x" * 200_000 + b"\n", b"no stamp\n" * 30_000, b"\n" * 100_000])
async def test_what_cannot_be_told_is_read(gap: bytes) -> None:
    """A stretch without time stamps never makes the start skip a line that counts."""
    log = b"1 old\n" * 10 + b"0 new\n" * 10 + gap + b"0 new\n" * 10
    calls = 0

    async def read_at(offset: int, size: int) -> bytes:
        return log[offset : offset + size]

    def is_expired(line: bytes) -> bool | None:
        nonlocal calls
        calls += 1
        return {b"1": True, b"0": False}.get(line[:1])

    assert await find_start_offset(read_at, len(log), Age(is_expired)) <= len(b"1 old\n" * 10)
    assert calls < 5000

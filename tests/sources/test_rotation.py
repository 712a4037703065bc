"""FileSource while logs are rotated, truncated, deleted and written anew under its eyes."""

# ruff: noqa: ASYNC240 - the tests write the logs themselves, in no hurry

from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.sources.rig import Reader, append, long_ago
from tests.waiting import until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_bytes(b"first\n")
    return path


@pytest.mark.parametrize("watched", [True, False])
async def test_rename_and_create_with_late_writes(log: Path, watched: bool) -> None:
    """The renamed file is read to its end before the new one, and its late lines come as well."""
    old = log.with_suffix(".1")
    async with Reader(log, watched=watched) as reader:
        await reader.read(b"first\n")
        append(log, b"last before\n")
        log.rename(old)
        append(old, b"just after\n")
        append(log, b"new\n")
        await reader.read(b"first\nlast before\njust after\nnew\n")
        append(old, b"late\n")
        await reader.read(b"first\nlast before\njust after\nnew\nlate\n")
        append(log, b"newer\n")
        await reader.read(b"first\nlast before\njust after\nnew\nlate\nnewer\n")
        assert all(block.live for block in reader.blocks[1:])
        assert reader.state.paths == (str(log),)


async def test_a_long_rest_comes_before_the_new_file(log: Path) -> None:
    """However much is still unread of a renamed file, its successor's lines wait for it."""
    rest = b"".join(b"%07d\n" % number for number in range(200_000))
    async with Reader(log) as reader:
        await reader.read(b"first\n")
        append(log, rest)
        log.rename(log.with_suffix(".1"))
        append(log, b"new\n" * 1000)
        await reader.read(b"first\n" + rest + b"new\n" * 1000)


async def test_an_empty_log_is_rotated(log: Path) -> None:
    """A renamed file that had no lines yet is held like any other, and its late lines are read."""
    os.truncate(log, 0)
    async with Reader(log) as reader:
        await reader.following()
        log.rename(log.with_suffix(".1"))
        append(log, b"new\n")
        await reader.read(b"new\n")
        append(log.with_suffix(".1"), b"late\n")
        await reader.read(b"new\nlate\n")


async def test_the_newest_rotated_file_stays_open(log: Path) -> None:
    """However late a server writes into it, the lines are read; an older one is closed in time."""
    old, older = log.with_suffix(".1"), log.with_suffix(".2")
    async with Reader(log) as reader:
        reader.clock.stop()
        await reader.read(b"first\n")
        log.rename(old)
        append(log, b"new\n")
        await reader.read(b"first\nnew\n")
        reader.clock.ahead += 3600
        log.with_suffix(".touched").touch()
        append(old, b"an hour late\n")
        await reader.read(b"first\nnew\nan hour late\n")
        old.rename(older)
        log.rename(old)
        append(log, b"newer\n")
        await reader.read(b"first\nnew\nan hour late\nnewer\n")
        assert _open_files(older) == 1
        reader.clock.ahead += 11
        await until(lambda: _open_files(older) == 0)
        assert _open_files(old) == 1
        append(log, b"last\n")
        await reader.read(b"first\nnew\nan hour late\nnewer\nlast\n")
    append(older, b"while we were away\n")
    async with Reader(log, reader.marks) as again:
        await again.read(b"while we were away\n")


async def test_rename_and_delayed_create(log: Path) -> None:
    """Until a new file appears, the renamed one is followed, however long it was quiet."""
    old = log.with_suffix(".1")
    with capture_logs() as said:
        async with Reader(log) as reader:
            await reader.read(b"first\n")
            log.rename(old)
            reader.clock.ahead += 60
            await until(lambda: reader.state.state == "waiting")
            assert str(log) in reader.state.detail
            reader.clock.ahead += 60
            append(old, b"late\n")
            await reader.read(b"first\nlate\n")
            append(log, b"new\n")
            await reader.read(b"first\nlate\nnew\n")
            assert reader.blocks[-1].live
            assert reader.state.paths == (str(log),)
    assert not [entry for entry in said if entry["log_level"] == "warning"]


async def test_several_rotations_at_once(log: Path) -> None:
    """A glob that matches rotated names too reads every line once; rotated files are no logs."""
    async with Reader(f"{log}*") as reader:
        await reader.read(b"first\n")
        for number in range(5):
            for older in range(number, 0, -1):
                Path(f"{log}.{older}").rename(f"{log}.{older + 1}")
            log.rename(f"{log}.1")
            append(log, b"%d\n" % number)
            await until(lambda number=number: b"%d\n" % number in reader.data)  # type: ignore[misc]
        assert reader.data == b"first\n0\n1\n2\n3\n4\n"
        assert reader.state.paths == (str(log),)


async def test_copytruncate(log: Path) -> None:
    """A file that is emptied in place is read from its start, live."""
    async with Reader(log) as reader:
        await reader.read(b"first\n")
        await reader.following()
        os.truncate(log, 0)
        append(log, b"a\n")
        await reader.read(b"first\na\n")
        append(log, b"b\n")
        await reader.read(b"first\na\nb\n")
        assert all(block.live for block in reader.blocks[1:])


async def test_copytruncate_and_grown_again_beyond_the_offset(log: Path) -> None:
    """A file that was emptied and grew beyond the old position between two looks is noticed."""
    old, new = b"%05d SASL failed\n", b"%05d SASL failed: longer\n"
    log.write_bytes(b"".join(old % number for number in range(50)))
    async with Reader(log) as reader:
        await reader.read(log.read_bytes())
        await reader.following()
        expected = log.read_bytes()
        os.truncate(log, 0)
        append(log, b"".join(new % number for number in range(100, 200)))
        await reader.read(expected + log.read_bytes())


async def test_written_anew_with_the_same_size(log: Path) -> None:
    """A file that is overwritten with as many other bytes is read again."""
    long_ago(log)
    async with Reader(log) as reader:
        await reader.read(b"first\n")
        await reader.following()
        with log.open("r+b") as file:
            file.write(b"other\n")
        await reader.read(b"first\nother\n")


async def test_truncated_inside_a_half_line(log: Path) -> None:
    """A half line that is truncated away is not glued to what is written afterwards."""
    async with Reader(log) as reader:
        await reader.read(b"first\n")
        append(log, b"half")
        await until(lambda: reader.state.lag_bytes == 4)
        os.truncate(log, 0)
        append(log, b"whole\n")
        await reader.read(b"first\nwhole\n")


async def test_delete_and_create(log: Path) -> None:
    """The end of a deleted file is read, then the new file, live."""
    async with Reader(log) as reader:
        await reader.read(b"first\n")
        await reader.following()
        append(log, b"last\n")
        log.unlink()
        append(log, b"new\n")
        await reader.read(b"first\nlast\nnew\n")
        assert all(block.live for block in reader.blocks[1:])


async def test_a_copy_put_in_its_place_is_not_read_again(log: Path) -> None:
    """An editor's copy with the same content under the same name goes on where the old one was."""
    log.write_bytes(b"line of yesterday\n" * 100)
    async with Reader(log) as reader:
        await reader.read(b"line of yesterday\n" * 100)
        await reader.following()
        copy = log.with_suffix(".tmp")
        copy.write_bytes(log.read_bytes() + b"added\n")
        copy.rename(log)
        await reader.read(b"line of yesterday\n" * 100 + b"added\n")
        append(log, b"more\n")
        await reader.read(b"line of yesterday\n" * 100 + b"added\nmore\n")


async def test_an_old_file_moved_in_is_caught_up_with(log: Path, tmp_path: Path) -> None:
    """A file that was last written before the look before is no live log, however new here."""
    old = tmp_path / "elsewhere"
    old.write_bytes(b"old\n")
    long_ago(old)
    async with Reader(tmp_path / "*.log") as reader:
        await reader.read(b"first\n")
        old.rename(tmp_path / "moved.log")
        await reader.read(b"first\nold\n")
        append(tmp_path / "moved.log", b"new\n")
        await reader.read(b"first\nold\nnew\n")
        assert [block.live for block in reader.blocks] == [False, False, True]


async def test_an_old_log_that_appears_is_caught_up_with(log: Path, tmp_path: Path) -> None:
    """A file whose first line is too old does not count as live, however lately it was written."""
    log.unlink()
    async with Reader(log, is_expired=lambda line: line.startswith(b"old")) as reader:
        await until(lambda: bool(reader.state.detail))
        (tmp_path / "copy").write_bytes(b"old 1\nold 2\nnew 1\n")
        (tmp_path / "copy").rename(log)
        await reader.read(b"new 1\n")
        append(log, b"new 2\n")
        await reader.read(b"new 1\nnew 2\n")
        assert [block.live for block in reader.blocks] == [False, True]


async def test_directory_removed_and_made_again(tmp_path: Path) -> None:
    """A log whose whole directory goes and comes back (a volume mounted anew) is followed on."""
    directory = tmp_path / "volume" / "logs"
    log = directory / "mail.log"
    async with Reader(log) as reader:
        expected = b""
        for round_ in range(3):
            directory.mkdir(parents=True)
            append(log, b"round %d\n" % round_)
            expected += b"round %d\n" % round_
            await reader.read(expected)
            await reader.following()
            log.unlink()
            directory.rmdir()
            directory.parent.rmdir()


def _open_files(path: Path) -> int:
    """How often this process has a file open."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            targets.append(descriptor.readlink())
        except FileNotFoundError:
            continue
    return targets.count(path)

"""FileSource on files that only grow: what is handed on, when, and as what."""

# ruff: noqa: ASYNC240 - the tests write the logs themselves, in no hurry

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailbanned.sources.file.reader import CHUNK_BYTES
from tests.sources.rig import Reader, append
from tests.waiting import until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "mail.log"


async def test_appended_lines_are_read_as_they_come(log: Path) -> None:
    """What is appended is emitted at once, live, with the time at which it came."""
    log.write_bytes(b"one\n")
    async with Reader(log) as reader:
        await reader.read(b"one\n")
        await reader.following()
        before, ticks = time.time(), time.monotonic()
        append(log, b"two\nthree\n")
        await reader.read(b"one\ntwo\nthree\n")
        block = reader.blocks[-1]
        assert (block.source, block.data, block.live) == ("mail", b"two\nthree\n", True)
        assert before <= block.arrived <= time.time()
        assert ticks <= block.read_monotonic <= time.monotonic()


async def test_what_was_there_before_is_caught_up_with(log: Path) -> None:
    """Lines from before the start are not live, and status counts all of them."""
    log.write_bytes(b"old\n" * 200_000)
    async with Reader(log) as reader:
        await reader.read(b"old\n" * 200_000)
        await reader.following()
        assert not any(block.live for block in reader.blocks)
        assert reader.state.lines == 200_000
        assert reader.state.lag_bytes == 0
        assert reader.state.paths == (str(log),)
        assert reader.state.last_line_at == reader.blocks[-1].arrived


async def test_state_while_catching_up(log: Path) -> None:
    """While old lines wait to be taken, the source is catching up and knows its lag."""
    log.write_bytes(b"old\n" * 200_000)
    reader = Reader(log)
    reader.gate.clear()
    async with reader:
        await until(lambda: reader.state.lag_bytes > 0)
        assert reader.state.state == "catching-up"
        reader.gate.set()
        await reader.following()
        assert reader.state.lag_bytes == 0


async def test_a_half_line_waits_for_its_end(log: Path) -> None:
    """Bytes without LF are not emitted before the LF is there, and then once."""
    log.write_bytes(b"whole\nha")
    async with Reader(log) as reader:
        await reader.read(b"whole\n")
        append(log, b"lf")
        append(log, b"-line\nnext")
        await reader.read(b"whole\nhalf-line\n")
        assert reader.state.lag_bytes == len(b"next")
        append(log, b"\n")
        await reader.read(b"whole\nhalf-line\nnext\n")


@pytest.mark.parametrize(
    "line",
    [
        b"a\0b\n",
        b"\xff\xfe caf\xe9\n",
        "one\u2028line\u0085only\u2029".encode() + b"\x0b\x0c\x1c\n",
        b"crlf\r\n",
        b"\r\n",
        b"\n",
    ],
)
async def test_odd_bytes_pass_untouched(log: Path, line: bytes) -> None:
    """Lines end at LF only; whatever else is in them is none of the source's business."""
    log.touch()
    async with Reader(log) as reader:
        await reader.following()
        append(log, line + line)
        await reader.read(line + line)
        assert reader.state.lines == 2


async def test_a_line_of_a_megabyte_is_left_out(log: Path) -> None:
    """An overlong line is skipped up to its LF, however it is written, and nothing else is."""
    log.write_bytes(b"before\n" + b"x" * 1_000_000 + b"\nbetween\n")
    async with Reader(log) as reader:
        await reader.read(b"before\nbetween\n")
        for _ in range(10):
            append(log, b"y" * 100_000)
            await until(lambda: reader.state.lag_bytes == 0)
        append(log, b"tail\nafter\n")
        await reader.read(b"before\nbetween\nafter\n")


async def test_every_match_of_a_glob_is_followed(tmp_path: Path) -> None:
    """All files of a glob are read, those that appear later as well, also in new directories."""
    for name in ("a", "b"):
        (tmp_path / f"pvc-{name}_mail").mkdir()
        (tmp_path / f"pvc-{name}_mail" / "postfix.log").write_bytes(f"{name}\n".encode())
    (tmp_path / "pvc-a_mail" / "other.log").write_bytes(b"other\n")
    async with Reader(f"{tmp_path}/pvc-*_mail/postfix.log") as reader:
        await until(lambda: sorted(reader.data.split()) == [b"a", b"b"])
        await reader.following()
        (tmp_path / "pvc-c_mail").mkdir()
        append(tmp_path / "pvc-c_mail" / "postfix.log", b"c\n")
        await until(lambda: sorted(reader.data.split()) == [b"a", b"b", b"c"])
        assert [block.live for block in reader.blocks] == [False, False, True]
        assert len(reader.marks) == len(reader.state.paths) == 3


async def test_a_file_under_two_names_is_read_once(tmp_path: Path) -> None:
    """Hard and symbolic links to one file are one log."""
    log = tmp_path / "a.log"
    log.write_bytes(b"one\n")
    (tmp_path / "b.log").hardlink_to(log)
    (tmp_path / "c.log").symlink_to(log)
    async with Reader(tmp_path / "*.log") as reader:
        await reader.read(b"one\n")
        append(log, b"two\n")
        await reader.read(b"one\ntwo\n")


async def test_a_symbolic_link_is_followed_where_it_leads(tmp_path: Path) -> None:
    """Writes to a link's target wake the source; a link that is switched is a rotation."""
    first, second, link = tmp_path / "x" / "1", tmp_path / "y" / "2", tmp_path / "mail.log"
    first.parent.mkdir()
    second.parent.mkdir()
    first.touch()
    link.symlink_to(first)
    async with Reader(link) as reader:
        await reader.following()
        append(first, b"one\n")
        await reader.read(b"one\n")
        append(first, b"last\n")
        append(second, b"two\n")
        (tmp_path / "new").symlink_to(second)
        (tmp_path / "new").rename(link)
        await reader.read(b"one\nlast\ntwo\n")


async def test_changes_without_events_are_seen(log: Path) -> None:
    """Where no wake-ups come (network file systems), the slow look finds new lines and files."""
    log.write_bytes(b"one\n")
    async with Reader(log, watched=False) as reader:
        await reader.read(b"one\n")
        append(log, b"two\n")
        await reader.read(b"one\ntwo\n")
        log.rename(log.with_suffix(".1"))
        append(log, b"three\n")
        await reader.read(b"one\ntwo\nthree\n")


async def test_a_busy_file_does_not_starve_another(tmp_path: Path) -> None:
    """While a big file is caught up with, others of the same glob are read in turn."""
    big, small = tmp_path / "a.log", tmp_path / "b.log"
    big.write_bytes(b"big\n" * 2_000_000)
    small.write_bytes(b"small\n")
    async with Reader(tmp_path / "*.log") as reader:
        await until(lambda: any(b"small" in block.data for block in reader.blocks))
        await reader.following()
    assert b"small" in b"".join(block.data for block in reader.blocks[:3])


async def test_new_files_are_found_while_catching_up(tmp_path: Path) -> None:
    """A file that appears while a long one is being read does not have to wait for its end."""
    (tmp_path / "big.log").write_bytes(b"big\n" * 2_000_000)
    reader = Reader(tmp_path / "*.log")
    reader.gate.clear()
    async with reader:
        await until(lambda: reader.state.lines > 0)
        append(tmp_path / "small.log", b"small\n")
        reader.clock.ahead += 5
        reader.gate.set()
        await until(lambda: b"small\n" in reader.data and reader.state.lag_bytes == 0)
    assert b"small\n" not in reader.blocks[-1].data


async def test_back_pressure_holds_the_source_and_loses_nothing(log: Path) -> None:
    """While nobody takes blocks, the source reads no further; afterwards every line comes."""
    log.touch()
    lines = [b"%07d\n" % number for number in range(200_000)]
    reader = Reader(log)
    async with reader:
        await reader.following()
        reader.gate.clear()
        append(log, b"".join(lines[:100_000]))
        await until(lambda: reader.state.lines > 0)
        held = reader.state
        assert held.lag_bytes > 0
        for start in range(100_000, 200_000, 10_000):
            append(log, b"".join(lines[start : start + 10_000]))
        assert reader.state.lines == held.lines <= 100_000
        assert reader.state.lag_bytes == held.lag_bytes + 800_000
        reader.gate.set()
        await reader.read(b"".join(lines))
        assert all(len(block.data) <= CHUNK_BYTES for block in reader.blocks)

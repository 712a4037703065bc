"""Logs that are written to and say nothing: told once, until they talk again."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from mailbanned.sources.health import FormatWatch, Problem
from tests.sources.rig import Age, Reader, append
from tests.waiting import until

STAMPED = b"May  1 06:43:08 mx sshd[1]: Invalid user\n"
BARE = b"another format\n"


def no_stamp(line: bytes) -> bool | None:
    """Lines of May have a stamp, and count."""
    return False if line.startswith(b"May") else None


class Told:
    """What is told of a log, read by read."""

    def __init__(self) -> None:
        self._hearing = FormatWatch(Age(no_stamp).has_timestamp)
        self._ticks = 0.0

    def after(self, seconds: float, lines: bytes, grown: bool = True) -> str:
        """The trouble after a read that much later: its last words, "" if there is none."""
        self._ticks += seconds
        trouble = self._hearing.check("/log", lines, grown, self._ticks)
        return "" if trouble is None else trouble.text.partition(";")[0]


@pytest.fixture
def told() -> Told:
    return Told()


ENDLESS = "/log is written to, but for ten minutes no line in it was ended"
UNSTAMPED = "/log is written to, but for ten minutes none of its lines had a time stamp"


def test_bytes_without_lines(told: Told) -> None:
    """Ten minutes in which it grows and no line is whole are told, until one is."""
    assert told.after(0, STAMPED) == ""
    assert [told.after(290, b"") for _ in range(4)] == ["", "", "", ENDLESS]
    assert told.after(290, b"") == ENDLESS
    assert told.after(1, STAMPED) == ""
    assert told.after(290, b"") == ""


def test_a_file_that_does_not_grow_is_quiet(told: Told) -> None:
    """A log that is only touched, or was emptied, says nothing and has nothing to say."""
    assert [told.after(290, b"", grown=False) for _ in range(4)] == [""] * 4
    told.after(290, b"")
    assert told.after(290, b"", grown=False) == ""
    assert told.after(290, b"") == ""


def test_lines_without_time_stamps(told: Told) -> None:
    """Where lines had time stamps, ten minutes without one are told, until one has."""
    assert told.after(0, STAMPED) == ""
    assert [told.after(290, BARE * 200) for _ in range(4)] == ["", "", "", UNSTAMPED]
    assert told.after(1, BARE + STAMPED + BARE) == ""
    assert told.after(290, BARE) == ""


def test_a_quiet_night_is_no_silence(told: Told) -> None:
    """However long nothing was written, what comes then may come in two writes, or be odd."""
    told.after(0, STAMPED)
    for _ in range(3):
        assert told.after(7200, b"") == ""
        assert told.after(1, BARE) == ""
        assert told.after(1, STAMPED) == ""
    assert told.after(7200, BARE) == ""


def test_lines_that_never_had_time_stamps(told: Told) -> None:
    """Where no line ever had a time stamp, none is missed."""
    assert [told.after(290, BARE) for _ in range(9)] == [""] * 9


def test_few_time_stamps(told: Told) -> None:
    """One stamped line in ten minutes is enough, wherever in a hundred lines it stands."""
    told.after(0, STAMPED)
    for _ in range(5):
        assert told.after(290, BARE) == ""
        assert told.after(290, BARE + STAMPED + BARE * 99) == ""


def warned(said: list[EventDict]) -> list[str]:
    return [entry["log_level"] for entry in said if "following" not in entry["event"]]


async def test_bytes_without_lines_in_a_file(tmp_path: Path) -> None:
    """FileSource tells it once, in log and state, and when it is over."""
    log = tmp_path / "mail.log"
    append(log, STAMPED)
    with capture_logs() as said:
        async with Reader(log) as reader:
            await reader.following()
            append(log, b"a half")
            await _until_told(reader, log, b" and more", "no line in it was ended")
            append(log, b"\n")
            await until(lambda: reader.state.detail == "")
    assert warned(said) == ["warning", "info"]


async def test_lines_that_are_all_too_long(tmp_path: Path) -> None:
    """Lines that are left out for their length are not heard either."""
    log = tmp_path / "mail.log"
    append(log, STAMPED)
    async with Reader(log) as reader:
        await reader.following()
        await _until_told(reader, log, b"x" * 100_000 + b"\n", "no line in it was ended")


async def test_another_format_since_a_rotation(tmp_path: Path) -> None:
    """That a log used to have time stamps is remembered over a rotation; it is told once."""
    log = tmp_path / "mail.log"
    append(log, STAMPED)
    with capture_logs() as said:
        async with Reader(log, is_expired=no_stamp) as reader:
            await reader.following()
            reader.clock.ahead += 100
            log.rename(log.with_suffix(".1"))
            append(log, BARE)
            await _until_told(reader, log, BARE, "had a time stamp")
            append(log, STAMPED)
            await until(lambda: reader.state.detail == "")
    assert warned(said) == ["warning", "info"]


async def _until_told(reader: Reader, log: Path, data: bytes, words: str) -> None:
    """Writes the same every few minutes until the source tells of it, and once more."""
    looks = 0
    judge = FormatWatch.check

    def counted(
        log: FormatWatch, path: str, lines: bytes, grown: bool, ticks: float
    ) -> Problem | None:
        nonlocal looks
        looks += bool(lines or grown)
        return judge(log, path, lines, grown, ticks)

    async def write() -> None:
        seen = looks
        reader.clock.ahead += 250
        append(log, data)
        await until(lambda: looks > seen, "the source has looked")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FormatWatch, "check", counted)
        for _ in range(20):
            await write()
            if words in reader.state.detail:
                break
        await write()
    assert words in reader.state.detail

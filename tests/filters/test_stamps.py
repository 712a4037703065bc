"""Stamps: every form is read right, whatever the calendar and the zone do to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbanned.filters import Stamps

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()


def utc(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


def at(stamp: str, now: float = NOON, zone: ZoneInfo | timezone | None = UTC) -> float | None:
    return Stamps(zone).read(stamp.encode() + b" mx x: y", now)[0]


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("May  1 06:43:08", utc(2026, 5, 1, 6, 43, 8)),
        ("May 01 06:43:08", utc(2026, 5, 1, 6, 43, 8)),
        ("Dec 31 23:59:59", utc(2025, 12, 31, 23, 59, 59)),
        ("2026-05-01T06:43:08.123456+02:00", utc(2026, 5, 1, 4, 43, 8) + 0.123456),
        ("2026-05-01T06:43:08.5Z", utc(2026, 5, 1, 6, 43, 8) + 0.5),
        ("2026-05-01T06:43:08Z", utc(2026, 5, 1, 6, 43, 8)),
        ("2026-05-01T06:43:08-0700", utc(2026, 5, 1, 13, 43, 8)),
        ("2026-05-01T06:43:08.123456789+02:00", utc(2026, 5, 1, 4, 43, 8) + 0.123456),
        ("2026-05-01 06:43:08", utc(2026, 5, 1, 6, 43, 8)),
        ("2026-05-01 06:43:08,250", utc(2026, 5, 1, 6, 43, 8) + 0.25),
        ("2026-05-01T06:43:08", utc(2026, 5, 1, 6, 43, 8)),
    ],
)
def test_every_form_is_read(stamp: str, moment: float) -> None:
    """A known form gives its moment and the index at which the rest of the line starts."""
    line = f"{stamp} mx postfix/smtpd[1]: x".encode()
    when, start = Stamps(UTC).read(line, NOON)
    assert when == pytest.approx(moment)
    assert line[start:] == b"mx postfix/smtpd[1]: x"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"postfix/smtpd[1]: x",
        b"May",
        b"May  1 06:43:08",
        b"Mai  1 06:43:08 mx x",
        b"may  1 06:43:08 mx x",
        b"May 32 06:43:08 mx x",
        b"May  1 24:43:08 mx x",
        b"May  1 06-43-08 mx x",
        b"Feb 30 06:43:08 mx x",
        b"2026-13-01T06:43:08 mx x",
        b"2026-05-01T06:43:08",
        b"2026-05-01",
        b"1777600000 mx x",
        b"@4000000069f42f66 mx x",
        "M\u00e4r  1 06:43:08 mx x".encode(),
        "2026-05-0\u0661T06:43:08 mx x".encode(),
    ],
)
def test_what_is_no_stamp_is_text(line: bytes) -> None:
    """A line without a stamp that can be read has no time, and is text from its start."""
    assert Stamps(UTC).read(line, NOON) == (None, 0)


@pytest.mark.parametrize(
    ("stamp", "now", "moment"),
    [
        ("Dec 31 23:59:59", utc(2026, 1, 1, 0, 0, 5), utc(2025, 12, 31, 23, 59, 59)),
        ("Jan  1 00:00:01", utc(2026, 1, 1, 0, 0, 5), utc(2026, 1, 1, 0, 0, 1)),
        ("Jan  1 00:00:01", utc(2025, 12, 31, 23, 59, 58), utc(2026, 1, 1, 0, 0, 1)),
        ("Jan  1 23:00:00", utc(2025, 12, 31, 22, 0, 0), utc(2025, 1, 1, 23, 0, 0)),
        ("May  2 11:59:59", NOON, utc(2026, 5, 2, 11, 59, 59)),
        ("May  2 12:00:01", NOON, utc(2025, 5, 2, 12, 0, 1)),
    ],
)
def test_the_year_is_the_latest_that_is_not_ahead(stamp: str, now: float, moment: float) -> None:
    """A stamp without a year is the latest such moment that is at most a day ahead of now."""
    assert at(stamp, now) == moment


@pytest.mark.parametrize(
    ("now", "year"),
    [
        (utc(2028, 2, 29, 12), 2028),
        (utc(2028, 2, 28, 12), 2028),
        (utc(2028, 2, 27, 6), 2024),
        (utc(2026, 5, 1), 2024),
        (utc(2104, 2, 1), 2096),
    ],
)
def test_a_leap_day_belongs_to_a_leap_year(now: float, year: int) -> None:
    """29 February is that of the latest leap year, even eight years back."""
    assert at("Feb 29 06:00:00", now) == utc(year, 2, 29, 6)


def test_a_remembered_stamp_does_not_keep_its_year() -> None:
    """The same text read a year later is the later year's."""
    stamps = Stamps(UTC)
    line = b"May  1 06:43:08 mx x"
    assert stamps.read(line, NOON)[0] == utc(2026, 5, 1, 6, 43, 8)
    assert stamps.read(line, NOON + 365 * 86400)[0] == utc(2027, 5, 1, 6, 43, 8)
    assert stamps.read(line, NOON)[0] == utc(2026, 5, 1, 6, 43, 8)


def test_the_zone_of_the_source_counts_where_the_stamp_has_none() -> None:
    """Stamps without an offset are in the source's zone, summer and winter; others are not."""
    assert at("May  1 06:43:08", zone=BERLIN) == utc(2026, 5, 1, 4, 43, 8)
    assert at("Jan 15 06:43:08", zone=BERLIN) == utc(2026, 1, 15, 5, 43, 8)
    assert at("May  1 06:43:08", zone=NEW_YORK) == utc(2026, 5, 1, 10, 43, 8)
    assert at("2026-05-01 06:43:08", zone=BERLIN) == utc(2026, 5, 1, 4, 43, 8)
    assert at("2026-05-01T06:43:08Z", zone=BERLIN) == utc(2026, 5, 1, 6, 43, 8)


@pytest.mark.parametrize("stamp", ["Oct 25 02:30:00", "2026-10-25T02:30:00"])
def test_the_hour_that_comes_twice_is_the_one_nearer_to_now(stamp: str) -> None:
    """When summer time ends, 02:30 is the first or the second, whichever is nearer to now."""
    first, second = utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 30)
    assert at(stamp, first + 60, BERLIN) == first
    assert at(stamp, second + 60, BERLIN) == second


@pytest.mark.parametrize("stamp", ["Mar 29 02:30:00", "2026-03-29T02:30:00"])
def test_the_hour_that_never_comes_is_read_near_to_now(stamp: str) -> None:
    """When summer time begins, 02:30 does not exist and is read as the nearer neighbour."""
    early, late = utc(2026, 3, 29, 0, 30), utc(2026, 3, 29, 1, 30)
    assert at(stamp, early - 60, BERLIN) == early
    assert at(stamp, late + 60, BERLIN) == late


def test_a_leap_second_is_the_second_before() -> None:
    """Second 60 counts as 59, in every form."""
    assert at("Dec 31 23:59:60") == utc(2025, 12, 31, 23, 59, 59)
    assert at("2016-12-31T23:59:60Z") == utc(2016, 12, 31, 23, 59, 59)
    assert at("2016-12-31T23:59:60.500+00:00") == pytest.approx(utc(2016, 12, 31, 23, 59, 59) + 0.5)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)),
    st.integers(-23 * 60, 23 * 60),
    st.integers(-86400, 360 * 86400),
)
def test_a_written_time_is_read_back(wall: datetime, minutes: int, age: int) -> None:
    """Any moment that a program writes in a known form is read as that moment."""
    moment = wall.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    then = moment.timestamp()
    assert at(moment.isoformat(), then + age) == then
    in_utc = moment.astimezone(UTC)
    for day in (f"{in_utc.day:2}", f"{in_utc.day:02}"):
        assert at(f"{in_utc:%b} {day} {in_utc:%H:%M:%S}", then + age) == then


@given(
    st.one_of(
        st.binary(max_size=60),
        st.from_regex(rb"\A(?:Jan|Feb|Dec)[ -:+]{12} .{0,9}", fullmatch=True),
        st.from_regex(rb"\A[0-9]{4}-[0-9T: .,+Z-]{8,40} .{0,9}", fullmatch=True),
    ),
    st.sampled_from([None, UTC, BERLIN]),
)
def test_garbage_never_raises(line: bytes, zone: ZoneInfo | timezone | None) -> None:
    """Whatever a line starts with, it gives a moment and a place in the line, or neither."""
    when, start = Stamps(zone).read(line, NOON)
    assert 0 <= start <= len(line)
    assert (when is None) == (start == 0)
    assert when is None or line[start - 1 : start] == b" "

"""Moments: a stamp that does not say all is read right, whatever calendar and zone do to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbanned.logformat.timestamps import TimestampParser
from tests.logformat.support import BERLIN, NOON, at, utc

NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")


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
    parser = TimestampParser(UTC)
    line = b"May  1 06:43:08 mx x"
    assert parser.parse(line, NOON)[0] == utc(2026, 5, 1, 6, 43, 8)
    assert parser.parse(line, NOON + 365 * 86400)[0] == utc(2027, 5, 1, 6, 43, 8)
    assert parser.parse(line, NOON)[0] == utc(2026, 5, 1, 6, 43, 8)


WALLS = st.one_of(
    st.datetimes(datetime(2026, 4, 4, 12), datetime(2026, 4, 5, 12)),
    st.datetimes(datetime(2026, 10, 3, 12), datetime(2026, 10, 4, 12)),
    st.datetimes(datetime(2026, 3, 29), datetime(2026, 3, 29, 6)),
    st.datetimes(datetime(2026, 10, 25), datetime(2026, 10, 25, 6)),
    st.datetimes(datetime(2025, 12, 31, 20), datetime(2026, 1, 1, 4)),
    st.datetimes(datetime(2028, 2, 28, 20), datetime(2028, 3, 1, 4)),
)


@given(
    WALLS,
    st.lists(st.tuples(st.integers(-5400, 5400), st.integers(-5400, 5400)), max_size=12),
    st.sampled_from([UTC, BERLIN, LORD_HOWE]),
    st.sampled_from([0, 86400]),
    st.booleans(),
)
def test_what_is_remembered_is_what_would_be_read(
    wall: datetime, steps: list[tuple[int, int]], zone: ZoneInfo, ahead: int, year: bool
) -> None:
    """Near the change of a year, of clocks, or of "a day ahead", nothing is remembered wrongly."""
    parser = TimestampParser(zone)
    for written, passed in steps:
        then = wall + timedelta(seconds=written)
        stamp = f"{then:%Y-%m-%d %H:%M:%S}" if year else f"{then:%b %d %H:%M:%S}"
        now = wall.replace(tzinfo=zone).timestamp() + passed - ahead
        assert parser.parse(stamp.encode() + b" mx x", now)[0] == at(stamp, now, zone)


@pytest.mark.parametrize(
    ("zone", "day", "hour", "change"),
    [
        (BERLIN, "Mar 29", 2, utc(2026, 3, 29, 1)),
        (BERLIN, "Oct 25", 2, utc(2026, 10, 25, 1)),
        (LORD_HOWE, "Apr 05", 1, utc(2026, 4, 4, 15)),
        (LORD_HOWE, "Oct 04", 2, utc(2026, 10, 3, 15, 30)),
    ],
)
def test_no_hour_is_remembered_through_a_change_of_clocks(
    zone: ZoneInfo, day: str, hour: int, change: float
) -> None:
    """Whenever an hour was first read, its minutes are read as if each were the first."""
    for began in range(-10800, 10800, 900):
        parser = TimestampParser(zone)
        for now in range(began, began + 7200, 900):
            for minute in (0, 10, 29, 31, 45, 59):
                stamp = f"{day} {hour:02}:{minute:02}:07"
                read = parser.parse(stamp.encode() + b" mx x", change + now)[0]
                assert read == at(stamp, change + now, zone)


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

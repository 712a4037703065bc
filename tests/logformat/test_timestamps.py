"""Stamps: every form is read right, and what is none is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbanned.logformat.timestamps import TimestampParser
from tests.logformat.support import BERLIN, NOON, at, utc


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
        ("2026-05-01T06:43:08:", utc(2026, 5, 1, 6, 43, 8)),
        ("2026-05-01T06:43:08.1234567891+02", utc(2026, 5, 1, 4, 43, 8) + 0.123456),
        ("May 01 06:43:08.250000", utc(2026, 5, 1, 6, 43, 8) + 0.25),
        ("Fri 2026-05-01 06:43:08 UTC", utc(2026, 5, 1, 6, 43, 8)),
        ("Fri 2026-05-01 06:43:08 CEST", utc(2026, 5, 1, 6, 43, 8)),
        ("Fri 2026-05-01 06:43:08 +0530", utc(2026, 5, 1, 1, 13, 8)),
        ("1777610588.250000", utc(2026, 5, 1, 4, 43, 8) + 0.25),
        ("@4000000069f42f660ee6b280", utc(2026, 5, 1, 4, 43, 8) + 0.25),
        ("<22>May  1 06:43:08", utc(2026, 5, 1, 6, 43, 8)),
        ("<0>2026-05-01T06:43:08.5Z", utc(2026, 5, 1, 6, 43, 8) + 0.5),
        ("<191>1 2026-05-01T06:43:08.5Z", utc(2026, 5, 1, 6, 43, 8) + 0.5),
    ],
)
def test_every_form_is_read(stamp: str, moment: float) -> None:
    """A known form gives its moment and the index at which the rest of the line starts."""
    line = f"{stamp} mx postfix/smtpd[1]: x".encode()
    when, start = TimestampParser(UTC).parse(line, NOON)
    assert when == pytest.approx(moment, rel=0, abs=1e-5)
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
        b"1777600000.5 mx x",
        b"@4000000069f42f66 mx x",
        b"@4000000069f42f660000000g mx x",
        b"@8000000069f42f6600000000 mx x",
        b"@400000000000000000000000 mx x",
        b"May  1 06:43:08. mx x",
        b"May  1 06:43:08.12x mx x",
        b"May  1 06:43:08.123",
        b"MayX01Y06:43:08 mx x",
        b"Fri 2026-05-01 06:43:08 mx x",
        b"Fri 2026-05-41 06:43:08 UTC mx x",
        b"<22>1 - mx x",
        b"<2222>May  1 06:43:08 mx x",
        b"<>May  1 06:43:08 mx x",
        b"<22><22>May  1 06:43:08 mx x",
        b"0001-01-01T00:00:00+14:00 mx x",
        b"0001-01-01 00:00:00 mx x",
        b"1969-12-31T23:59:59Z mx x",
        b"9999-12-31T23:59:59-14:00 mx x",
        b"9999-12-31 23:59:59 mx x",
        "M\u00e4r  1 06:43:08 mx x".encode(),
        "2026-05-0\u0661T06:43:08 mx x".encode(),
    ],
)
def test_what_is_no_stamp_is_text(line: bytes) -> None:
    """A line without a stamp that can be read has no time, and is text from its start."""
    assert (
        TimestampParser(UTC).parse(line, NOON)
        == TimestampParser(BERLIN).parse(line, NOON)
        == (None, 0)
    )


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
        st.from_regex(
            rb"\A(?:<22>|@4|[0-9]{10}\.|Fri |May  1 )[0-9a-f@:. +-]{0,30} ", fullmatch=True
        ),
    ),
    st.sampled_from([None, UTC, BERLIN]),
)
def test_garbage_never_raises(line: bytes, zone: ZoneInfo | timezone | None) -> None:
    """Whatever a line starts with, it gives a moment and a place in the line, or neither."""
    when, start = TimestampParser(zone).parse(line, NOON)
    assert 0 <= start <= len(line)
    assert (when is None) == (start == 0)
    assert when is None or line[start - 1 : start] == b" "

"""LineParser: what it remembers of earlier lines changes nothing, and no bytes make it raise."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Line

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
BERLIN = ZoneInfo("Europe/Berlin")
CRI = b"2026-05-01T08:43:08.000000000+02:00 stdout F "
TAI = b"@4000000069f44b8600000000 "

FRONTS = [
    b"<22>", b"May  1 06:43:08 ", b"May 01 06:43:09 ", b"May  1 06:43:60 ", b"May  1 06:43:0x ",
    b"<22>May  1 06:43:08 ", b"May  2 12:00:30 ", b"May  2 14:10:00 ", b"Oct 25 02:30:00 ",
    b"Oct 25 02:30:01 ", b"Oct 25 02:30:00.5 ", b"May  1 06:43:08.123 ", b"May  1 06:43:08.12x ",
    b"2026-05-01T06:43:08.123456+02:00 ", b"2026-05-01T06:43:09.123457+02:00 ",
    b"2026-05-01T06:43:08,123456+02:00 ", b"2026-05-01T06:43:08x123456+02:00 ",
    b"2026-05-01T06:43:60.123456+02:00 ", b"2026-05-01T06:43:08.123456+03:00 ",
    b"2026-05-01T06:43:08.123456Z ", b"2026-05-01T06:43:08Z ", b"2026-05-01T06:43:08: ",
    b"2026-03-29 02:30:00 ", b"2026-10-25 02:30:00,5 ", b"Fri 2026-05-01 06:43:08 CEST ",
    b"1777617788.000000 ", TAI, CRI, CRI + b"May  1 06:43:08 ", CRI.replace(b":08.", b":09."),
]  # fmt: skip
RESTS = [
    b"mx sshd[1]: x", b"sshd[1]: x", b"mx mail.warn sshd[1]: x", b"other sshd[2]: x",
    b"mx kernel x: y", b"<2.4> mx sshd[1]: x", b"<2.4> sshd[1]: x", b"mx ", b"mx",
    b"sshd[1]: x\r", b"auth(x y): z", b"sshd[1]: message repeated 3 times: [ x]",
]  # fmt: skip
SPRING = datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()
AUTUMN = datetime(2026, 10, 25, 0, 50, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("before", "now", "zone", "few"),
    [
        (NOW, NOW, UTC, 2),
        (NOW, NOW + 40, UTC, 1),
        (NOW, NOW + 9000, UTC, 1),
        (SPRING - 86400, SPRING + 86400, BERLIN, 1),
        (AUTUMN, AUTUMN + 900, BERLIN, 1),
    ],
)
def test_a_line_is_what_it_is_whatever_came_before(
    before: float, now: float, zone: ZoneInfo, few: int
) -> None:
    """What is remembered of the line before only makes it faster."""
    lines = [front + rest for front in FRONTS for rest in RESTS[: 6 * few]]
    expected = [(raw, Line(*LineParser(zone).parse(raw, 1, now))) for raw in lines]
    firsts = [front + rest for front in FRONTS for rest in RESTS[:few]]
    for first in firsts + [FRONTS[1] + rest for rest in RESTS]:
        for raw, line in expected:
            parser = LineParser(zone)
            parser.parse(first, 1, before)
            assert parser.parse(raw, 1, now) == parser.parse(raw, 1, now) == line, first


WORDS = st.sampled_from([
    *FRONTS, *RESTS, b"mx ", b"<mail.warn> ", b"mail.warn ", b"x", b" ", b"[", b"]", b"\r", b": ",
    b"<38>1 2026-05-01T06:43:08Z mx app - - ", b'[a b="', b'\\"', b'"] ', b"1 ", b"stdout F ",
])  # fmt: skip
LINES = st.lists(WORDS | st.binary(max_size=3), max_size=6).map(b"".join)


@given(LINES)
def test_nothing_raises_and_nothing_is_made_up(raw: bytes) -> None:
    """The text is the end of the line, after its tag if the header was rewritten."""
    found = Line(*LineParser(UTC).parse(raw, 1, NOW))
    raw = raw.removesuffix(b"\r")
    if raw.endswith(found.text):
        return
    tag, colon, message = found.text.partition(b": ")
    assert colon
    if found.repeats > 1:
        raw = raw.removesuffix(b"]")
    assert raw.endswith(message)
    program, _, process = tag.removesuffix(b"]").partition(b"[")
    assert tag in raw or b"%b %b " % (program, process or b"-") in raw

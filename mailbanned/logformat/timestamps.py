"""Wall-clock times as instants (seconds since the epoch), where something is missing in them.

A time without a year is the latest such moment that is at most a day ahead of now. A time without
a zone is read in the zone of its source; where a change to or from summer time makes it ambiguous,
it is the moment nearest to now. A leap second counts as the second before. What is before 1970 or
after 2999 is no time.

The time stamp at the start of a line, read as seconds since the epoch.

    May  1 06:43:08     May 01 06:43:08      syslog, postlogd, Dovecot: no year, no zone
    May 01 06:43:08.123456                   journalctl -o short-precise
    2026-05-01T06:43:08.123456+02:00         RFC 3339; also with Z, +0200 or no zone, with a space
                                             for the T, with a comma, with one to nine digits
    Fri 2026-05-01 06:43:08 CEST             journalctl -o short-full
    1777610588.123456                        journalctl -o short-unix
    @4000000069f42f66075bca00                TAI64N

A priority (`<22>`, in RFC 5424 `<22>1 `) may stand before it. What a stamp does not say (the year,
the zone) is found as moments.py tells.

Known limit: of short-full's zones only UTC and numbers are known, CEST is taken for the source's.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
         b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), start=1
    )
}  # fmt: skip
_YEARLESS = re.compile(rb"... ([ 0-9][0-9]) ([0-9]{2}):([0-9]{2}):([0-6][0-9])")
# Beyond the year 3000 there are no times: whoever shows one need not fear it.
_END_OF_TIME = 32_503_680_000.0
_DAY = 86400.0
_HOUR = 3600.0
_REMEMBERED = 4096


class Hours:
    """When the hours of a log began, which most of its lines share.

    zone: the zone of its times; None is the zone of this machine.
    since, until: for which `now` the last answer holds.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self.zone = zone
        self.since = self.until = 0.0
        self._began: dict[bytes, float | None] = {}

    def began(self, key: bytes, now: float) -> float | None:
        """When the hour `May  1 06` or `2026-05-01T06` began.

        None if its minutes have to be looked at one by one: in it the clocks change, or it is no
        hour at all, or which one it is changes about now.
        """
        if not self.since <= now <= self.until or len(self._began) > _REMEMBERED:
            self._began.clear()
            self.since, self.until = now - _HOUR, now + _HOUR
        try:
            return self._began[key]
        except KeyError:
            began = self._began[key] = self._read(key)
            return began

    def _read(self, key: bytes) -> float | None:
        first, last = key + b":00:00", key + b":59:59"
        readings = {
            (wall_clock(first, self.zone, now), wall_clock(last, self.zone, now))
            for now in (self.since, self.until)
        }
        began, ends = readings.pop()
        if readings or began is None or ends is None or ends - began != 3599:
            return None
        return began if self._is_unique(began) and self._is_unique(ends) else None

    def _is_unique(self, at: float) -> bool:
        """Whether no other moment has the same time on the wall clock."""
        wall = datetime.fromtimestamp(at, self.zone)
        return wall.replace(fold=0).timestamp() == wall.replace(fold=1).timestamp()


def wall_clock(stamp: bytes, zone: tzinfo | None, now: float) -> float | None:
    """`May  1 06:43:08` or `2026-05-01T06:43:08.123456+02:00` as an instant; None if it is none."""
    return _yearless(stamp, zone, now) if stamp[:1].isalpha() else _iso(stamp, zone, now)


def _yearless(stamp: bytes, zone: tzinfo | None, now: float) -> float | None:
    """The latest year in which `May  1 06:43:08` is no more than a day ahead."""
    found = _YEARLESS.fullmatch(stamp)
    month = MONTHS.get(stamp[:3])
    if found is None or month is None:
        return None
    day, hour, minute, second = map(int, found.groups())
    this_year = datetime.fromtimestamp(now, UTC).year
    # Back to eight years ago, because a 29 February may be that far away (around 2100).
    for year in range(this_year + 1, this_year - 9, -1):
        try:
            moment = _nearest(datetime(year, month, day, hour, minute, min(second, 59)), zone, now)
        except ValueError:
            continue
        if moment <= now + _DAY:
            return moment
    return None


def _iso(stamp: bytes, zone: tzinfo | None, now: float) -> float | None:
    try:
        text = stamp.decode("ascii")
        if text[17:19] == "60":
            text = f"{text[:17]}59{text[19:]}"
        moment = datetime.fromisoformat(text)
        at = _nearest(moment, zone, now) if moment.tzinfo is None else moment.timestamp()
    except (ValueError, OverflowError):
        return None
    return at if 0 <= at < _END_OF_TIME else None


def _nearest(moment: datetime, zone: tzinfo | None, now: float) -> float:
    """A wall-clock time as an instant; of two readings the one nearer to now."""
    readings = (moment.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return min(readings, key=lambda at: abs(at - now))


_LONGEST = 40
_PRIORITY = re.compile(rb"<[0-9]{1,3}>(?:1 )?")
# The hour, minute and second, fraction, zone.
_SYSLOG = re.compile(rb"(.{6} [0-9]{2}):([0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))? ")
_RFC3339 = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}):([0-9]{2}:[0-9]{2})(?:[.,]([0-9]{1,9}))?"
    rb"(Z|[+-][0-9]{2}:?[0-9]{2})?:? "
)
_FULL = re.compile(
    rb"[A-Z][a-z]{2} ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}) ([A-Z]{1,5}|[+-][0-9]{2,4}) "
)
_UNIX = re.compile(rb"[0-9]{10}\.[0-9]{6} ")
_TAI64N = re.compile(rb"@40000000([0-9a-f]{8})([0-9a-f]{8}) ")
# Loggers take TAI for the ten seconds ahead of UTC that it was in 1970; none knows leap seconds.
_TAI_AHEAD = 10

#: `43:08` -> seconds
CLOCK = {b"%02d:%02d" % divmod(second, 60): second for second in range(3600)}

Stamp = tuple[float | None, int]
_NONE: Stamp = (None, 0)


class Span(NamedTuple):
    """Where `43:08.123456` stands in a stamp, and for which `now` its hour is so read."""

    begin: int
    end: int
    since: float
    until: float


#: How a line began: all up to its text; where that begins; its time; since and until which `now`
#: this holds; whether a host stands before the text. What begins the very same needs no reading.
Same = tuple[bytes, int, float, float, float, bool]


class Hour(NamedTuple):
    """How a line began: the lines of the same hour differ in little.

    start: all before the minute. before: where that stands. clock: where `43:08` stands.
    point: the byte behind the second. point_at: where that stands.
    fraction: where its digits stand, which count `scale` to the second; 0 if there is none.
    rest: what follows up to the text. between: where that stands.
    at: when the hour began. wraps: whether the text is a line, too. The others are as in Same.
    """

    start: bytes
    before: slice
    clock: slice
    point: int
    point_at: int
    fraction: slice
    scale: int
    rest: bytes
    between: slice
    text: int
    at: float
    since: float
    until: float
    hosted: bool
    wraps: bool


_NOWHERE = slice(0)
_NO_HOUR = Hour(
    b"\n", _NOWHERE, _NOWHERE, 0, 0, _NOWHERE, 0, b"", _NOWHERE, 0, 0.0, 0.0, 0.0, False, False
)  # fmt: skip


class Stamps:
    """Reads the stamps of one source.

    zone: the zone of stamps that carry none; None is the zone of this machine.
    same, hour: how the last lines began that were given to `keep`.
    inner: for lines that were wrapped into lines; None in itself, since no line is wrapped twice.
    """

    def __init__(self, zone: tzinfo | None = None, *, wrapped: bool = False) -> None:
        self.same: Same = (b"\n", 0, 0.0, 0.0, 0.0, False)
        self.hour = _NO_HOUR
        self.inner = None if wrapped else Stamps(zone, wrapped=True)
        self._zone = zone
        self._hours = Hours(zone)
        self._zoned = b""
        self._zoned_at: float | None = None
        self._span: Span | None = None

    def keep(
        self, line: bytes, at: float, text: int, now: float,
        *, hosted: bool = False, wraps: bool = False,
    ) -> None:  # fmt: skip
        """Keeps how the line began that was read last: its time, and where its text begins."""
        if self._span is None:
            self.same = line[:text], text, at, now, now, hosted
            return
        begin, end, since, until = self._span
        clock, fraction = slice(begin, begin + 5), slice(begin + 6, end)
        digits = line[fraction]
        scale = 10 ** len(digits) if digits else 0
        hour = at - CLOCK[line[clock]] - _part(digits)
        self.hour = Hour(
            line[:begin], slice(begin), clock, line[begin + 5], begin + 5, fraction, scale,
            line[end:text], slice(end, text), text, round(hour), since, until, hosted, wraps,
        )  # fmt: skip

    def read(self, line: bytes, now: float) -> Stamp:
        """(time, index of the first byte after the stamp and its space); (None, 0) without one."""
        self._span = None
        return self._read(line, now)

    def _read(self, line: bytes, now: float) -> Stamp:
        first = line[:1]
        if first.isalpha():
            return self._syslog(line, now) if line[:3] in MONTHS else self._full(line, now)
        if first.isdigit():
            return self._iso(line, now) if line[4:5] == b"-" else _unix(line)
        if first == b"<":
            return self._behind_priority(line, now)
        return _tai(line) if first == b"@" else _NONE

    def _syslog(self, line: bytes, now: float) -> Stamp:
        found = _SYSLOG.match(line)
        if found is None:
            return _NONE
        stamp = self._in_hour(found, b"", now)
        if stamp is not None:
            return stamp
        at = wall_clock(line[:15], self._zone, now)
        return (at + _part(found[3]), found.end()) if at is not None else _NONE

    def _iso(self, line: bytes, now: float) -> Stamp:
        found = _RFC3339.match(line)
        if found is not None:
            stamp = self._in_hour(found, found[4] or b"", now)
            if stamp is not None:
                return stamp
        end = line.find(b" ", 11, _LONGEST)
        at = wall_clock(line[:end].rstrip(b":"), self._zone, now) if end > 0 else None
        return (at, end + 1) if at is not None else _NONE

    def _in_hour(self, found: re.Match[bytes], zone: bytes, now: float) -> Stamp | None:
        """The stamp, if it is known when its hour began and nothing stands in the way."""
        hour, clock = found[1], CLOCK.get(found[2])
        if zone:
            since, until = -math.inf, math.inf
            if hour + zone != self._zoned:
                self._zoned = hour + zone
                self._zoned_at = wall_clock(hour + b":00:00" + zone, self._zone, now)
            began = self._zoned_at
        else:
            began = self._hours.began(hour, now)
            since, until = self._hours.since, self._hours.until
        if began is None or clock is None:
            return None
        self._span = Span(found.start(2), max(found.end(2), found.end(3)), since, until)
        return began + clock + _part(found[3]), found.end()

    def _full(self, line: bytes, now: float) -> Stamp:
        found = _FULL.match(line)
        if found is None:
            return _NONE
        zone = found[2]
        if zone.isalpha():
            zone = b"Z" if zone in (b"UTC", b"GMT") else b""
        at = wall_clock(found[1] + zone, self._zone, now)
        return (at, found.end()) if at is not None else _NONE

    def _behind_priority(self, line: bytes, now: float) -> Stamp:
        priority = _PRIORITY.match(line)
        if priority is None or line[priority.end() :][:1] == b"<":
            return _NONE
        width = priority.end()
        at, start = self._read(line[width:], now)
        if self._span is not None:
            begin, end, since, until = self._span
            self._span = Span(begin + width, end + width, since, until)
        return (at, start + width) if start else _NONE


def _part(fraction: bytes | None) -> float:
    return int(fraction) / 10 ** len(fraction) if fraction else 0.0


def _unix(line: bytes) -> Stamp:
    found = _UNIX.match(line)
    return (float(found[0]), found.end()) if found is not None else _NONE


def _tai(line: bytes) -> Stamp:
    found = _TAI64N.match(line)
    if found is None:
        return _NONE
    seconds = int(found[1], 16) - _TAI_AHEAD
    return (seconds + int(found[2], 16) / 1e9, found.end()) if seconds >= 0 else _NONE

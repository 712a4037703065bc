"""Parses the timestamp at the start of a line into seconds since the epoch.

    May  1 06:43:08      May 01 06:43:08     syslog, postlogd, Dovecot: no year, no zone
    May 01 06:43:08.123456                   journalctl -o short-precise
    2026-05-01T06:43:08.123456+02:00         RFC 3339; also with Z, +0200 or no zone, with a space
                                             for the T, with a comma, with one to nine digits
    Fri 2026-05-01 06:43:08 CEST             journalctl -o short-full
    1777610588.123456                        journalctl -o short-unix
    @4000000069f42f66075bca00                TAI64N

A priority (`<22>`, in RFC 5424 `<22>1 `) may precede it.

A timestamp without a year is read as the latest such time that is at most a day ahead of now. One
without a zone is read in the zone of its source; if a change to or from summer time makes it
ambiguous, the time nearest to now is taken. A leap second counts as the second before. Times before
1970 or after 2999 are not accepted.

Known limit: of the zones of short-full only UTC, GMT and numbers are read; any other name (CEST) is
taken for the zone of the source.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
         b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), start=1
    )
}  # fmt: skip
_PRIORITY = re.compile(rb"<[0-9]{1,3}>(?:1 )?")
# In both: the hour, minute and second, fraction; then the zone.
_SYSLOG = re.compile(rb"(.{6} [0-9]{2}):([0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))? ")
_RFC3339 = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}):([0-9]{2}:[0-9]{2})(?:[.,]([0-9]{1,9}))?"
    rb"(Z|[+-][0-9]{2}:?[0-9]{2})?:? "
)
_SHORT_FULL = re.compile(
    rb"[A-Z][a-z]{2} ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}) ([A-Z]{1,5}|[+-][0-9]{2,4}) "
)
_SHORT_UNIX = re.compile(rb"[0-9]{10}\.[0-9]{6} ")
_TAI64N = re.compile(rb"@40000000([0-9a-f]{8})([0-9a-f]{8}) ")
# TAI was 10 s ahead of UTC in 1970. Loggers add just these: none knows leap seconds.
_TAI_AHEAD_S = 10
_LONGEST = 40  # bytes

_YEARLESS = re.compile(rb"... ([ 0-9][0-9]) ([0-9]{2}):([0-9]{2}):([0-6][0-9])")
_END_OF_TIME = 32_503_680_000.0  # the year 3000
_HOUR_S, _DAY_S = 3600.0, 86400.0
_MAX_HOURS = 4096

# `43:08` -> seconds since the start of the hour
_SECONDS = {b"%02d:%02d" % divmod(second, 60): second for second in range(3600)}

#: The time (epoch), and the index of the first byte after the timestamp and its space; (None, 0)
#: if the line has no timestamp.
Timestamp = tuple[float | None, int]
_NONE: Timestamp = (None, 0)


class TimestampParser:
    """Parses the timestamps of one source.

    zone: the zone of timestamps that have none; None is the zone of this machine.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._hours = _HourCache(zone)
        # The last timestamp, with its space: on a busy host many lines share a second.
        self._last, self._last_now, self._last_result = b"\n", 0.0, _NONE

    def parse(self, line: bytes, now: float) -> Timestamp:
        """Returns the timestamp at the start of the line. now: infers the year."""
        if line.startswith(self._last) and now == self._last_now:
            return self._last_result
        result = self._parse(line, now)
        if result is not _NONE:
            self._last, self._last_now, self._last_result = line[: result[1]], now, result
        return result

    def _parse(self, line: bytes, now: float) -> Timestamp:
        if line[:3] in _MONTHS:
            return self._syslog(line, now)
        first = line[:1]
        if first.isdigit():
            return self._rfc3339(line, now) if line[4:5] == b"-" else _short_unix(line)
        if first == b"<":
            return self._after_priority(line, now)
        if first == b"@":
            return _tai64n(line)
        return self._short_full(line, now) if first.isalpha() else _NONE

    def _syslog(self, line: bytes, now: float) -> Timestamp:
        found = _SYSLOG.match(line)
        if found is None:
            return _NONE
        hour, clock, fraction = found.groups()
        start, seconds = self._hours.start(hour, b"", now), _SECONDS.get(clock)
        if start is not None and seconds is not None:
            at = start + seconds
        elif (parsed := parse_wall_clock(line[:15], self._zone, now)) is not None:
            at = parsed
        else:
            return _NONE
        return (at + _fraction(fraction) if fraction else at), found.end()

    def _rfc3339(self, line: bytes, now: float) -> Timestamp:
        found = _RFC3339.match(line)
        if found is not None:
            hour, clock, fraction, zone = found.groups()
            start, seconds = self._hours.start(hour, zone or b"", now), _SECONDS.get(clock)
            if start is not None and seconds is not None:
                at = start + seconds
                return (at + _fraction(fraction) if fraction else at), found.end()
        end = line.find(b" ", 11, _LONGEST)
        when = parse_wall_clock(line[:end].rstrip(b":"), self._zone, now) if end > 0 else None
        return (when, end + 1) if when is not None else _NONE

    def _short_full(self, line: bytes, now: float) -> Timestamp:
        found = _SHORT_FULL.match(line)
        if found is None:
            return _NONE
        zone = found[2]
        if zone.isalpha():
            zone = b"Z" if zone in (b"UTC", b"GMT") else b""
        at = parse_wall_clock(found[1] + zone, self._zone, now)
        return (at, found.end()) if at is not None else _NONE

    def _after_priority(self, line: bytes, now: float) -> Timestamp:
        priority = _PRIORITY.match(line)
        if priority is None or line[priority.end() :][:1] == b"<":
            return _NONE
        at, start = self._parse(line[priority.end() :], now)
        return (at, priority.end() + start) if start else _NONE


def _fraction(digits: bytes) -> float:
    return int(digits) / 10.0 ** len(digits)


def _short_unix(line: bytes) -> Timestamp:
    found = _SHORT_UNIX.match(line)
    return (float(found[0]), found.end()) if found is not None else _NONE


def _tai64n(line: bytes) -> Timestamp:
    found = _TAI64N.match(line)
    if found is None:
        return _NONE
    seconds = int(found[1], 16) - _TAI_AHEAD_S
    return (seconds + int(found[2], 16) / 1e9, found.end()) if seconds >= 0 else _NONE


class _HourCache:
    """When the hours of a log started: most lines share their hour with others.

    zone: the zone of hours that have none; None is the zone of this machine.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        # The starts are the same for every `now` of this interval.
        self._since = self._until = 0.0
        self._starts: dict[bytes, float | None] = {}

    def start(self, hour: bytes, zone: bytes, now: float) -> float | None:
        """When the hour `May  1 06` or `2026-05-01T06` started (epoch).

        zone: as written in the timestamp, b"" if it has none.
        None if the times of the hour must be parsed one by one: the clocks change in it, its year
        changes about now, or it is no hour.
        """
        if not self._since <= now <= self._until or len(self._starts) > _MAX_HOURS:
            self._starts.clear()
            self._since, self._until = now - _HOUR_S, now + _HOUR_S
        key = hour + zone if zone else hour
        try:
            return self._starts[key]
        except KeyError:
            start = self._starts[key] = self._find_start(hour, zone)
            return start

    def _find_start(self, hour: bytes, zone: bytes) -> float | None:
        first, last = hour + b":00:00" + zone, hour + b":59:59" + zone
        readings = {
            (parse_wall_clock(first, self._zone, now), parse_wall_clock(last, self._zone, now))
            for now in (self._since, self._until)
        }
        start, end = readings.pop()
        if readings or start is None or end is None or end - start != _HOUR_S - 1:
            return None
        return start if zone or (self._is_unique(start) and self._is_unique(end)) else None

    def _is_unique(self, at: float) -> bool:
        """Whether no other time reads the same on the wall clock."""
        wall = datetime.fromtimestamp(at, self._zone)
        return wall.replace(fold=0).timestamp() == wall.replace(fold=1).timestamp()


def parse_wall_clock(text: bytes, zone: tzinfo | None, now: float) -> float | None:
    """The time `May  1 06:43:08` or `2026-05-01T06:43:08.123456+02:00`, None if it is not one."""
    return _yearless(text, zone, now) if text[:1].isalpha() else _iso(text, zone, now)


def _yearless(text: bytes, zone: tzinfo | None, now: float) -> float | None:
    """The time `May  1 06:43:08` in the latest year in which it is at most a day ahead."""
    found = _YEARLESS.fullmatch(text)
    month = _MONTHS.get(text[:3])
    if found is None or month is None:
        return None
    day, hour, minute, second = map(int, found.groups())
    this_year = datetime.fromtimestamp(now, UTC).year
    # Eight years back, since the last 29 February may be that far away (around 2100).
    for year in range(this_year + 1, this_year - 9, -1):
        try:
            at = _nearest(datetime(year, month, day, hour, minute, min(second, 59)), zone, now)
        except ValueError:
            continue
        if at <= now + _DAY_S:
            return at
    return None


def _iso(text: bytes, zone: tzinfo | None, now: float) -> float | None:
    try:
        iso = text.decode("ascii")
        if iso[17:19] == "60":
            iso = f"{iso[:17]}59{iso[19:]}"
        wall = datetime.fromisoformat(iso)
        at = _nearest(wall, zone, now) if wall.tzinfo is None else wall.timestamp()
    except (ValueError, OverflowError):
        return None
    return at if 0 <= at < _END_OF_TIME else None


def _nearest(wall: datetime, zone: tzinfo | None, now: float) -> float:
    """The time of a wall clock; if it is ambiguous, the one nearest to now."""
    readings = (wall.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return min(readings, key=lambda at: abs(at - now))

"""The time stamp at the start of a line, read as seconds since the epoch.

Known forms: `May  1 06:43:08` and `May 01 06:43:08` (syslog, postlogd, Dovecot: no year, no zone),
`2026-05-01T06:43:08.123456+02:00`, the same with `Z`, with a space for the `T`, with a comma or
with no offset.
A stamp without a year is the latest such moment that is at most a day ahead of now. A stamp
without a zone is read in the zone of its source; a time that a change to or from summer time
makes ambiguous is read as the moment nearest to now. A leap second counts as the second before.

Known limit: other forms (TAI64N, epoch seconds) read as "no stamp".
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
         b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), start=1
    )
}  # fmt: skip
_DAY = 86400.0
_REMEMBERED = 4096
_LONGEST = 40


class Stamps:
    """Reads the stamps of one source. Remembers where hours begin, which most lines share.

    zone: the zone of stamps that carry none; None is the zone of this machine.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._hours: dict[bytes, float | None] = {}
        self._hours_at = 0.0

    def read(self, line: bytes, now: float) -> tuple[float | None, int]:
        """(time, index of the first byte after the stamp and its space); (None, 0) without one."""
        first = line[:1]
        if first.isalpha():
            if line[15:16] != b" " or line[:3] not in _MONTHS:
                return None, 0
            at = self._syslog(line[:15], now)
            return (at, 16) if at is not None else (None, 0)
        if first.isdigit() and line[4:5] == b"-":
            end = line.find(b" ", 11, _LONGEST)
            at = _iso(line[:end], self._zone, now) if end > 0 else None
            return (at, end + 1) if at is not None else (None, 0)
        return None, 0

    def _syslog(self, stamp: bytes, now: float) -> float | None:
        minute, second = stamp[10:12], stamp[13:15]
        if not (minute.isdigit() and second.isdigit() and stamp[9:15:3] == b"::"):
            return None
        if abs(now - self._hours_at) > 3600 or len(self._hours) > _REMEMBERED:
            self._hours.clear()
            self._hours_at = now
        key = stamp[:9]
        try:
            hour = self._hours[key]
        except KeyError:
            hour = self._hours[key] = _plain_hour(key, self._zone, now)
        if hour is None or minute > b"59" or second > b"59":
            return _yearless(stamp, self._zone, now)
        at = hour + int(minute) * 60 + int(second)
        return at if at <= now + _DAY else _yearless(stamp, self._zone, now)


def _plain_hour(key: bytes, zone: tzinfo | None, now: float) -> float | None:
    """When the hour `May  1 06` began; None if its minutes have to be looked at one by one.

    Those are the hours in which the clocks change, and what is no hour at all.
    """
    began = _yearless(key + b":00:00", zone, now)
    ended = _yearless(key + b":59:59", zone, now)
    if began is None or ended is None or ended - began != 3599:
        return None
    other = datetime.fromtimestamp(began, zone).replace(fold=1).timestamp()
    return began if other == began else None


def _yearless(stamp: bytes, zone: tzinfo | None, now: float) -> float | None:
    """`May  1 06:43:08`: the latest year in which that is no more than a day ahead."""
    try:
        month, day = _MONTHS[stamp[:3]], int(stamp[4:6])
        clock = int(stamp[7:9]), int(stamp[10:12]), min(int(stamp[13:15]), 59)
    except (KeyError, ValueError):
        return None
    this_year = datetime.fromtimestamp(now, UTC).year
    # Back to eight years ago, because a 29 February may be that far away (around 2100).
    for year in range(this_year + 1, this_year - 9, -1):
        try:
            moment = _nearest(datetime(year, month, day, *clock), zone, now)
        except ValueError:
            continue
        if moment <= now + _DAY:
            return moment
    return None


def _iso(stamp: bytes, zone: tzinfo | None, now: float) -> float | None:
    try:
        text = stamp.decode("ascii").rstrip(":")
        if text[17:19] == "60":
            text = f"{text[:17]}59{text[19:]}"
        moment = datetime.fromisoformat(text)
        return _nearest(moment, zone, now) if moment.tzinfo is None else moment.timestamp()
    except (ValueError, OverflowError):
        return None


def _nearest(moment: datetime, zone: tzinfo | None, now: float) -> float:
    """A wall-clock time as an instant; of two readings the one nearer to now."""
    readings = (moment.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return min(readings, key=lambda at: abs(at - now))

"""Wall-clock times as instants (seconds since the epoch), where something is missing in them.

A time without a year is the latest such moment that is at most a day ahead of now. A time without
a zone is read in the zone of its source; where a change to or from summer time makes it ambiguous,
it is the moment nearest to now. A leap second counts as the second before. What is before 1970 or
after 2999 is no time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

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

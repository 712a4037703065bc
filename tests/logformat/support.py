"""Times, and how a time stamp is read, for the tests of log formats."""

from __future__ import annotations

from datetime import UTC, datetime, timezone
from zoneinfo import ZoneInfo

from mailbanned.logformat.timestamps import TimestampParser

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()


def utc(*moment: int) -> float:
    """A moment in UTC, in seconds since the epoch."""
    return datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


def at(stamp: str, now: float = NOON, zone: ZoneInfo | timezone | None = UTC) -> float | None:
    """The time at the start of a line, None if there is none."""
    return TimestampParser(zone).parse(stamp.encode() + b" mx x: y", now)[0]

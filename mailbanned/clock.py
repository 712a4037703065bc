"""Time as an argument: the Clock protocol and the system's clock.

Everything that needs the time is given a Clock, so that tests move time by telling it to.
Known limit: bans end by the wall clock, because they must outlive restarts and reboots; when an
administrator sets the clock, running bans end earlier or later by that step.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Seconds since the epoch (UTC)."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps; only differences mean something."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


def iso(at: float | None) -> str | None:
    """A time as people and programs read it: ISO 8601 with this host's offset; None stays None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at).astimezone().isoformat()


def format_duration(seconds: float | None) -> str:
    """A duration as the configuration writes it: "7d", "1d12h", "90s"; None is "permanent"."""
    if seconds is None:
        return "permanent"
    left, parts = round(seconds), []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(parts[:2]) or "0s"

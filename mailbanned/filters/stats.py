"""Counts what the filters of a source match, so that an outdated filter is noticed.

Times are the timestamps of lines; of lines without one, the times at which they were read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_FUTURE_S, _PAST_S = 60.0, 86400.0


@dataclass(slots=True)
class PatternStats:
    """How many lines a pattern has matched, and the time of the last one (epoch)."""

    count: int = 0
    last_at: float | None = None


@dataclass(slots=True)
class FilterStats:
    """Counts of one source. They survive reloads of the configuration, but not the daemon.

    patterns: by full name.
    unmatched: lines that look like a failure (they hold a suspect text) and match no pattern.
    unmatched_line, unmatched_at: the newest of them.
    overlong: lines that were too long to be parsed.
    future: lines whose timestamp was more than a minute ahead of the clock.
    past: live lines whose timestamp was more than a day behind it. (A live line counts at the time
        of its arrival all the same.)
    skew: how far the timestamp of the last live line was behind the clock (s); negative is ahead.
    """

    patterns: dict[str, PatternStats] = field(default_factory=dict)
    unmatched: int = 0
    unmatched_line: bytes = b""
    unmatched_at: float | None = None
    overlong: int = 0
    future: int = 0
    past: int = 0
    skew: float | None = None

    def record_skew(self, at: float, now: float, live: bool) -> None:
        """Compares the timestamp of a line with the time at which it was read."""
        behind = now - at
        self.future += behind < -_FUTURE_S
        if live:
            self.skew = behind
            self.past += behind > _PAST_S

    def pattern(self, full_name: str) -> PatternStats:
        """Returns the counts of one pattern."""
        return self.patterns.setdefault(full_name, PatternStats())

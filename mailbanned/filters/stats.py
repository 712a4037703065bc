"""What the filters of a source have seen so far, so that a filter that rots is noticed.

Times are those of the lines (their stamps), or when they were read if they have none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_FUTURE_S, _PAST_S = 60.0, 86400.0


@dataclass(slots=True)
class Hits:
    """How often a pattern fitted, and when the last such line was written."""

    count: int = 0
    last_at: float | None = None


@dataclass(slots=True)
class Tally:
    """Counts of one source. They live as long as the daemon, over reloads of the configuration.

    unmatched: lines that look like a failure (they hold a suspect text) but fit no pattern; the
        newest of them is kept.
    overlong: lines that were too long to be looked at.
    future: lines whose stamp was more than a minute ahead of the clock. past: live lines whose
        stamp was more than a day behind it. (A live line counts at its arrival all the same.)
    skew: how far the stamp of the last live line was behind the clock (s); negative is ahead.
    """

    patterns: dict[str, Hits] = field(default_factory=dict)
    unmatched: int = 0
    unmatched_line: bytes = b""
    unmatched_at: float | None = None
    overlong: int = 0
    future: int = 0
    past: int = 0
    skew: float | None = None

    def stamp(self, at: float, now: float, live: bool) -> None:
        """Notes how the stamp of a line that was read at `now` stands to the clock."""
        behind = now - at
        self.future += behind < -_FUTURE_S
        if live:
            self.skew = behind
            self.past += behind > _PAST_S

    def hits(self, rule: str) -> Hits:
        """The counts of one pattern, by its rule."""
        return self.patterns.setdefault(rule, Hits())

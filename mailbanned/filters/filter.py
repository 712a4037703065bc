"""A filter: the patterns of one kind of failure, with the samples that prove them.

Samples are part of a filter, not of its tests: `mailbanned check` and the daemon's start run them,
so that a filter which stopped catching what it promises is a configuration error, not a surprise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailbanned.filters.pattern import Pattern
from mailbanned.model import Failure, Line, Sign


class FilterError(ValueError):
    """A filter that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A raw log line and its right verdict.

    line: one line, or several where a container runtime has cut one up.
    kind: what a pattern must say of it (see pattern.KINDS); "" if none may call it a failure.
    address, user: what is reported then. times: of how many attempts, None if that is left open.
    """

    line: bytes
    kind: str
    address: str | None = None
    user: str | None = None
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Patterns are tried in order; the first that fits decides what the line is.

    suspects: texts that failures have. A line with one of them that fits no pattern is reported,
        since a server may have changed its words.
    outage: the failures come from a login backend and mean nothing while it is down.
    """

    name: str
    patterns: tuple[Pattern, ...]
    description: str = ""
    samples: Sequence[Sample] = ()
    suspects: tuple[bytes, ...] = ()
    outage: bool = False

    def match(self, line: Line) -> Failure | Sign | None:
        """What the line is, None if no pattern fits."""
        for pattern in self.patterns:
            if found := pattern.find(line):
                return found
        return None

"""A filter: the patterns of one kind of failure, with the samples that prove them.

Samples are part of a filter, not of its tests: `mailbanned check` and the daemon's start run them,
so that a filter which stopped catching what it promises is a configuration error, not a surprise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from mailbanned.filters.pattern import Pattern
from mailbanned.filters.prefix import split
from mailbanned.filters.stamps import Stamps
from mailbanned.model import Failure, Line


class FilterError(ValueError):
    """A filter that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A raw log line and its right verdict: the address and user it reports, or no match."""

    line: bytes
    matches: bool
    address: str = ""
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Patterns are tried in order; the first that fits reports the failure."""

    name: str
    patterns: tuple[Pattern, ...]
    description: str = ""
    samples: Sequence[Sample] = ()

    def match(self, line: Line) -> Failure | None:
        """The failure that this line reports, or None."""
        return first_match(self.patterns, line)


def first_match(patterns: Sequence[Pattern], line: Line) -> Failure | None:
    """The failure of the first pattern that fits the line, or None."""
    for pattern in patterns:
        found = pattern.find(line.text)
        if found is not None:
            address, user = found
            return Failure(line.number, line.at, address, user, pattern.rule, pattern.summary)
    return None


def problems(filter_: Filter) -> list[str]:
    """What the filter's own samples say against it, one sentence each; empty if all is well."""
    stamps = Stamps(UTC)
    found = []
    for sample in filter_.samples:
        line = split(sample.line, 1, stamps, now=1_777_600_000.0)
        failure = filter_.match(line)
        shown = sample.line.decode("utf-8", "replace")
        if failure is None:
            if sample.matches:
                found.append(f"hit does not match: {shown}")
        elif not sample.matches:
            found.append(f"miss matches ({failure.rule}, {failure.address}): {shown}")
        elif (str(failure.address), failure.user) != (sample.address, sample.user):
            found.append(
                f"hit reports {failure.address}, user {failure.user!r} instead of "
                f"{sample.address}, user {sample.user!r}: {shown}"
            )
        elif not any(p.literal in sample.line for p in filter_.patterns if p.rule == failure.rule):
            found.append(f"literal of {failure.rule} does not stand in its hit: {shown}")
    return found

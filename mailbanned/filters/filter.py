"""A filter: the patterns of one kind of failure, with the samples that prove them.

Samples are part of a filter, not of its tests: `mailbanned check` and the daemon's start run them,
so that a filter which stopped catching what it promises is a configuration error, not a surprise.

Runs a filter's own samples: what is wrong with it, one sentence each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import NamedTuple

from mailbanned.filters.diagnose import show, stops
from mailbanned.filters.pattern import Pattern
from mailbanned.logformat.messages import plain
from mailbanned.logformat.syslog import split
from mailbanned.logformat.timestamps import Stamps
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


# The samples' day; stamps without a year are read as if it were then.
_NOW = 1_777_600_000.0


class Finding(NamedTuple):
    """What a sample says against its filter: one sentence, and lines that show the place."""

    text: str
    shown: str = ""


def problems(filter_: Filter) -> list[Finding]:
    """What the samples say against the filter; empty if all is well."""
    found = (_problem(filter_, sample) for sample in filter_.samples)
    return [finding for finding in found if finding is not None]


def _problem(filter_: Filter, sample: Sample) -> Finding | None:
    raw = sample.line.decode("utf-8", "replace")
    line = _line(sample.line)
    found = filter_.match(line)
    kind = _kind(found)
    if not sample.kind:
        if kind != "failure" or found is None:
            return None
        return Finding(f"miss matches ({found.pattern}, {found.address}): {raw}")
    if found is None:
        return Finding(f"hit does not match: {raw}", _nearest(filter_, line))
    if kind != sample.kind:
        return Finding(f"hit is {kind} ({found.pattern}) instead of {sample.kind}: {raw}")
    if (found.address, found.user) != (sample.address, sample.user):
        return Finding(
            f"hit reports {found.address}, user {found.user!r} instead of "
            f"{sample.address}, user {sample.user!r}: {raw}"
        )
    if sample.times is not None and isinstance(found, Failure) and found.attempts != sample.times:
        return Finding(f"hit tells of {found.attempts} attempts instead of {sample.times}: {raw}")
    pattern = next(p for p in filter_.patterns if p.rule == found.pattern)
    if any(literal not in line.text for literal in pattern.literals):
        return Finding(f"literal of {found.pattern} does not stand in its hit: {raw}")
    return None


def _line(raw: bytes) -> Line:
    """The sample as a line; of several (a cut-up one) what they are when joined."""
    whole = plain(raw.rstrip(b"\n") + b"\n").rstrip(b"\n")
    return split(whole.rpartition(b"\n")[2], 1, Stamps(UTC), _NOW)


def _kind(found: Failure | Sign | None) -> str:
    return "failure" if isinstance(found, Failure) else found.kind if found else ""


def _nearest(filter_: Filter, line: Line) -> str:
    """Where the pattern that comes furthest stops fitting the line."""
    tried = [(p, stop) for p in filter_.patterns if (stop := stops(p.text, line.text))]
    if not tried:
        return ""
    pattern, stop = max(tried, key=lambda one: one[1].at)
    return f"pattern {pattern.name} comes furthest:\n{show(stop, line.text)}"

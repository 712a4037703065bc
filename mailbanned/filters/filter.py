"""A filter: the patterns for one kind of failure, with the samples that prove them.

Samples are part of a filter, not of its tests: `mailbanned check` and the daemon's start run them.
So a filter that no longer catches what it promises is a configuration error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import NamedTuple

from mailbanned.filters.diagnose import first_mismatch, show
from mailbanned.filters.pattern import Finding, Pattern
from mailbanned.logformat.messages import join_parts
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Failure, Line

# The day of the samples: it infers the year of timestamps that have none.
_NOW = 1_777_600_000.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A raw log line and its expected finding.

    line: one line, or several if a container runtime has split one.
    kind: the kind of the pattern that must match (pattern.KINDS); "" if none may report a failure.
    address, user: what the pattern must report.
    attempts: the number of attempts it must report; None if any will do.
    """

    line: bytes
    kind: str
    address: str | None = None
    user: str | None = None
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Patterns in order: the first one that matches a line decides what the line is.

    suspects: texts of failures. A line that holds one of them and matches no pattern is reported,
        since a server may have changed its messages.
    outage: the failures come from a login backend and mean nothing while it is down.
    """

    name: str
    patterns: tuple[Pattern, ...]
    description: str = ""
    samples: Sequence[Sample] = ()
    suspects: tuple[bytes, ...] = ()
    outage: bool = False

    def match(self, line: Line) -> Finding | None:
        """Returns what the first matching pattern finds, None if no pattern matches."""
        for pattern in self.patterns:
            if finding := pattern.find(line):
                return finding
        return None


class SampleFailure(NamedTuple):
    """How a sample differs from what its filter finds.

    text: one sentence. shown: lines that show where the nearest pattern stops matching, or "".
    """

    text: str
    shown: str = ""


def run_samples(filter_: Filter) -> list[SampleFailure]:
    """Returns the failures of the filter's samples; an empty list if all pass."""
    failures = (_run(filter_, sample) for sample in filter_.samples)
    return [failure for failure in failures if failure is not None]


def _run(filter_: Filter, sample: Sample) -> SampleFailure | None:
    raw = sample.line.decode("utf-8", "replace")
    line = _parse(sample.line)
    finding = filter_.match(line)
    if not sample.kind:
        if not isinstance(finding, Failure):
            return None
        return SampleFailure(f"miss matches ({finding.pattern}, {finding.address}): {raw}")
    if finding is None:
        return SampleFailure(f"hit does not match: {raw}", _show_nearest(filter_, line))
    pattern = next(p for p in filter_.patterns if p.full_name == finding.pattern)
    if pattern.kind != sample.kind:
        return SampleFailure(
            f"hit is {pattern.kind} ({pattern.full_name}) instead of {sample.kind}: {raw}"
        )
    if (finding.address, finding.user) != (sample.address, sample.user):
        return SampleFailure(
            f"hit reports {finding.address}, user {finding.user!r} instead of "
            f"{sample.address}, user {sample.user!r}: {raw}"
        )
    attempts = finding.attempts if isinstance(finding, Failure) else None
    if attempts is not None and sample.attempts not in (None, attempts):
        return SampleFailure(f"hit reports {attempts} attempts instead of {sample.attempts}: {raw}")
    if any(literal not in line.text for literal in pattern.literals):
        return SampleFailure(f"hit does not contain a literal of {pattern.full_name}: {raw}")
    return None


def _parse(raw: bytes) -> Line:
    """The line of a sample, joined if a container runtime has split it."""
    joined = join_parts(raw.rstrip(b"\n") + b"\n").rstrip(b"\n")
    return Line(*LineParser(UTC).parse(joined.rpartition(b"\n")[2], 1, _NOW))


def _show_nearest(filter_: Filter, line: Line) -> str:
    """Shows where the pattern that matches most of the line stops matching."""
    mismatches = [
        (pattern, mismatch)
        for pattern in filter_.patterns
        if (mismatch := first_mismatch(pattern.text, line.text))
    ]
    if not mismatches:
        return ""
    pattern, mismatch = max(mismatches, key=lambda pair: pair[1].offset)
    return f"pattern {pattern.name} comes furthest:\n{show(mismatch, line.text)}"

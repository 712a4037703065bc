"""Blocks -> Failures, for all filters of one source at once.

Almost every line of a mail log is of no interest, so lines are not even looked at one by one: a
few literals are searched in the whole block (memory speed), and only the lines round a find are
cut out, stripped of their prefix and given to the patterns that own the literal.

Known limit: a line over 8 KiB is passed over and counted in `overlong`; the servers cut theirs at
2 KB or less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailbanned.filters.filter import Filter, first_match
from mailbanned.filters.pattern import Pattern
from mailbanned.filters.prefix import split
from mailbanned.filters.stamps import Stamps
from mailbanned.model import Failure

LONGEST_LINE = 8192


class FilterSet:
    """The filters that share one source, and how that source writes its time stamps."""

    def __init__(self, filters: Sequence[Filter], stamps: Stamps) -> None:
        self.stamps = stamps
        self.overlong = 0
        self._filters = tuple(filters)
        literals = {pattern.literal: None for f in filters for pattern in f.patterns}
        self._literals = tuple(_minimal(literals))
        self._plans: dict[int, tuple[tuple[Pattern, ...], ...]] = {}

    def failures(self, block: bytes, now: float, first_line: int = 1) -> Iterator[Failure]:
        """The failures in a block of whole lines, in line order; a line has one per filter.

        now: for stamps without a year. first_line: the number of the block's first line.
        """
        number, counted = first_line, 0
        for start, mask in self._candidates(block):
            end = block.find(b"\n", start)
            end = len(block) if end < 0 else end
            if end - start > LONGEST_LINE:
                self.overlong += 1
                continue
            number += block.count(b"\n", counted, start)
            counted = start
            line = split(block[start:end], number, self.stamps, now)
            for patterns in self._plans.get(mask) or self._plan(mask):
                failure = first_match(patterns, line)
                if failure is not None:
                    yield failure

    def _candidates(self, block: bytes) -> list[tuple[int, int]]:
        """(start of line, bit mask of the literals in it) for each line that holds any literal."""
        masks: dict[int, int] = {}
        find, rfind = block.find, block.rfind
        for bit, literal in enumerate(self._literals):
            at = find(literal)
            while at >= 0:
                start = rfind(b"\n", 0, at) + 1
                masks[start] = masks.get(start, 0) | (1 << bit)
                end = find(b"\n", at)
                at = find(literal, end) if end >= 0 else -1
        return sorted(masks.items())

    def _plan(self, mask: int) -> tuple[tuple[Pattern, ...], ...]:
        """The patterns to try on a line that holds the literals of the mask, filter by filter."""
        present = [lit for bit, lit in enumerate(self._literals) if mask & (1 << bit)]
        plan = tuple(
            chosen
            for f in self._filters
            if (chosen := tuple(p for p in f.patterns if any(lit in p.literal for lit in present)))
        )
        self._plans[mask] = plan
        return plan


def _minimal(literals: dict[bytes, None]) -> list[bytes]:
    """Without the literals that contain another one: where they stand, the shorter one does too."""
    return [lit for lit in literals if not any(o != lit and o in lit for o in literals)]

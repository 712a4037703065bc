"""Blocks -> what their lines report, for all filters of one source at once.

Almost no line of a mail log matches any filter, so lines are not even looked at one by one. The
prefilter searches the whole block for a few literals, at memory speed. Only the lines that hold one
are parsed and given to the patterns that own the literal.

Known limit: a line over 8 KiB is skipped and counted; the servers truncate theirs to 2 KB or less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mailbanned.bounded import BoundedDict
from mailbanned.filters.filter import Filter
from mailbanned.filters.pattern import Find, Ignored
from mailbanned.filters.prefilter import Prefilter, drop_superstrings
from mailbanned.filters.stats import FilterStats, PatternStats
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Line, LineFields, LogEvent

MAX_LINE = 8192
# Real lines hold some dozen combinations of literals; an attacker may write any number of them.
_MAX_DISPATCHES = 1000


class _Candidate(NamedTuple):
    """A pattern to try on a line, if the line holds the literal."""

    literal: bytes
    find: Find
    stats: PatternStats


class _Dispatch(NamedTuple):
    """What to try on a line that holds certain literals.

    filters: the candidates, by filter. is_suspect: a part of the literals is in a suspect text.
    """

    filters: Sequence[Sequence[_Candidate]]
    is_suspect: bool


class FilterSet:
    """The filters that share one source.

    parser: parses the lines of the source. stats: is updated.
    searched: the literals that the prefilter searches for.
    """

    def __init__(
        self, filters: Sequence[Filter], parser: LineParser, stats: FilterStats | None = None
    ) -> None:
        self.stats = stats or FilterStats()
        self.filters = tuple(filters)
        self._parse = parser.parse
        self._suspects = tuple(dict.fromkeys(text for f in filters for text in f.suspects))
        self._candidates = self._choose_candidates()
        keys = [key for candidates in self._candidates for key, _ in candidates]
        self.searched = drop_superstrings([*self._suspects, *keys])
        self._prefilter = Prefilter(self.searched)
        self._dispatches = BoundedDict[int, _Dispatch](_MAX_DISPATCHES)
        self._line: LineFields = (0, None, b"", 1)

    @property
    def text(self) -> bytes:
        """The text of the line of the last event that `read` has yielded."""
        return self._line[2]

    def _choose_candidates(self) -> list[list[tuple[bytes, _Candidate]]]:
        """The patterns of each filter, and which of its literals each is searched by.

        A literal that is searched for anyway is preferred: the fewer literals, the fewer lines
        are parsed, and a pattern that does not match costs little. A pattern is tried only if
        another one of its literals is in the line, too.
        """
        chosen: list[list[tuple[bytes, _Candidate]]] = []
        keys = list(self._suspects)
        for filter_ in self.filters:
            chosen.append([])
            for pattern in filter_.patterns:
                literals = pattern.literals
                shared = (text for text in literals if any(key in text for key in keys))
                key = next(shared, literals[0])
                keys.append(key)
                other = next((text for text in literals if text not in key), b"")
                stats = self.stats.pattern(pattern.full_name)
                chosen[-1].append((key, _Candidate(other, pattern.find, stats)))
        return chosen

    def read(
        self,
        block: bytes,
        now: float,
        first_line: int | None = 1,
        on_unmatched: Callable[[Line], None] | None = None,
    ) -> Iterator[LogEvent]:
        """Yields what the lines of a block report, in their order: one event a line and filter.

        block: whole lines, each message in one of them (see messages.join_parts).
        now: infers the year of timestamps, and is the time of lines that have none.
        first_line: the number of the block's first line. None: lines are numbered by the byte at
            which they start, since counting them takes time.
        on_unmatched: is given the lines that hold a suspect text and match no pattern.
        """
        for line, mask in self._candidate_lines(block, now, first_line):
            dispatch = self._dispatches.get(mask) or self._add_dispatch(mask)
            _, at, text, _ = self._line = line
            is_matched = False
            for candidates in dispatch.filters:
                for literal, find, stats in candidates:
                    if literal not in text or (finding := find(line)) is None:
                        continue
                    stats.count += 1
                    stats.last_at = now if at is None else at
                    is_matched = True
                    if not isinstance(finding, Ignored):
                        yield finding
                    break
            if dispatch.is_suspect and not is_matched:
                self._note_unmatched(Line(*line), now, on_unmatched)

    def _candidate_lines(
        self, block: bytes, now: float, first_line: int | None
    ) -> Iterator[tuple[LineFields, int]]:
        """Yields the lines that hold a literal, with the mask of their literals."""
        parse = self._parse
        # The line after the last one that was parsed: its number, and where it starts.
        next_number, next_start = first_line, 0
        for start, end, mask in self._prefilter.lines(block):
            number = start
            if next_number is not None:
                number = next_number
                if start != next_start:
                    number += block.count(b"\n", next_start, start)
                next_number, next_start = number + 1, end + 1
            if end - start > MAX_LINE:
                self.stats.overlong += 1
                continue
            yield parse(block[start:end], number, now), mask

    def _note_unmatched(
        self, line: Line, now: float, on_unmatched: Callable[[Line], None] | None
    ) -> None:
        if not any(suspect in line.text for suspect in self._suspects):
            return  # it holds a literal that is only a part of a suspect text
        self.stats.unmatched += 1
        self.stats.unmatched_line = line.text
        self.stats.unmatched_at = now if line.at is None else line.at
        if on_unmatched is not None:
            on_unmatched(line)

    def _add_dispatch(self, mask: int) -> _Dispatch:
        """What to try on a line that holds just the literals of the mask."""
        present = [text for bit, text in enumerate(self.searched) if mask & (1 << bit)]

        def may_hold(literal: bytes) -> bool:
            return any(text in literal for text in present)

        filters = (
            tuple(candidate for key, candidate in candidates if may_hold(key))
            for candidates in self._candidates
        )
        dispatch = self._dispatches[mask] = _Dispatch(
            tuple(candidates for candidates in filters if candidates),
            any(may_hold(suspect) for suspect in self._suspects),
        )
        return dispatch

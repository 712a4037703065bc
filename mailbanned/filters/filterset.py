"""Blocks -> Failures and Signs, for all filters of one source at once.

Almost every line of a mail log is of no interest, so lines are not even looked at one by one: a
few literals are searched in the whole block (memory speed), and only the lines round a find are
cut out, stripped of their prefix and given to the patterns that own the literal.

Known limit: a line over 8 KiB is passed over and counted; the servers cut theirs at 2 KB or less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from mailbanned.filters.filter import Filter
from mailbanned.filters.pattern import Chooser, Find, Pattern, PatternError
from mailbanned.filters.prefilter import Search, minimal
from mailbanned.filters.stats import Hits, Tally
from mailbanned.logformat.syslog import fields
from mailbanned.logformat.timestamps import Stamps
from mailbanned.model import Failure, Line, LineFields, Sign

LONGEST_LINE = 8192
# After so many lines of a kind it may be worth to compile their patterns into one.
_RARE = 500
# One pass over a line costs as much as finding half a pattern in vain, or asking for 32 texts.
_VAIN, _ASKED = 2, 32
_MOST_GATHERED = 8
# Real lines hold some dozen combinations of texts; who attacks may write as many as he likes.
_MOST_PLANS = 1000


class _Try(NamedTuple):
    """A pattern to try on lines that hold this text, and where its hits are counted."""

    text: bytes
    find: Find
    hits: Hits


_Tries = tuple[tuple[_Try, ...], ...]


class _Plan:
    """What to do with a line that holds certain literals.

    tries: the patterns to try, filter by filter. suspect: whether it looks like a failure.
    rare: so many more lines, and it may be worth to choose the patterns in one pass. vain: how many
    patterns were tried since the last time that it was not, and told of no failure.
    which: finds the places of the patterns that match in one pass; None before it is worth it.
    chosen: what to try if just these match, as far as `choose` was asked.
    """

    __slots__ = ("_patterns", "chosen", "rare", "suspect", "tries", "vain", "which")

    def __init__(self, filters: Sequence[Sequence[tuple[_Try, Pattern]]], suspect: bool) -> None:
        self.tries: _Tries = tuple(tuple(one for one, _ in each) for each in filters)
        self.suspect = suspect
        self.rare = _RARE
        self.vain = 0
        self._patterns = filters
        self.which: Callable[[bytes], list[int]] | None = None
        self.chosen: dict[tuple[int, ...], _Tries] = {}

    def is_slow(self) -> bool:
        """Whether, of the last lines, one pass over each would have been quicker."""
        patterns = sum(map(len, self.tries))
        slow = _VAIN * self.vain / _RARE + patterns / _ASKED > 1
        self.rare, self.vain = _RARE, 0
        return slow

    def gather(self) -> bool:
        """From now on the patterns that match are found together, which costs a compilation.

        False if they are too many for that. It is to be tried once only.
        """
        self.rare = 0
        with suppress(PatternError):
            every = [pattern for each in self._patterns for _, pattern in each]
            self.which = Chooser(every).which
        return self.which is not None

    def choose(self, which: tuple[int, ...]) -> _Tries:
        """The patterns to try on a text if just these match."""
        if not which:
            return self.tries
        filters, number = [], 0
        for each in self._patterns:
            matching = []
            for one, pattern in each:
                if number in which:
                    matching.append(_Try(b"", pattern.find_certain, one.hits))
                number += 1
            filters.append(tuple(matching))
        self.chosen[which] = tuple(one for one in filters if one)
        return self.chosen[which]


class FilterSet:
    """The filters that share one source, and how that source writes its time stamps.

    tally: what is counted goes there.
    on_unmatched: is given the lines that look like a failure and fit no pattern.
    """

    def __init__(
        self, filters: Sequence[Filter], stamps: Stamps, tally: Tally | None = None
    ) -> None:
        self.stamps = stamps
        self.tally = tally or Tally()
        self.filters = tuple(filters)
        self._suspects = tuple({suspect: None for one in filters for suspect in one.suspects})
        self._tries, keys = self._chosen()
        #: What every block is searched for.
        self.searched = minimal([*self._suspects, *keys])
        self._search = Search(self.searched)
        self._plans: dict[int, _Plan] = {}
        self._gathered = 0
        self.on_unmatched: Callable[[Line], None] | None = None
        self._line: LineFields = (0, None, b"", 1)

    @property
    def text(self) -> bytes:
        """The text of the line of the last finding."""
        return self._line[2]

    def _chosen(self) -> tuple[list[list[tuple[bytes, _Try, Pattern]]], list[bytes]]:
        """Which text each pattern is found by: one that is searched for anyway, if it has one.

        The fewer texts are searched for, the fewer lines are looked at; a pattern on a line that
        it does not fit costs little. It is tried if another of its texts is in the line, too.
        """
        tries: list[list[tuple[bytes, _Try, Pattern]]] = []
        keys: list[bytes] = []
        for one in self.filters:
            tries.append([])
            for pattern in one.patterns:
                known = [*self._suspects, *keys]
                shared = (lit for lit in pattern.literals if any(key in lit for key in known))
                key = next(shared, pattern.literals[0])
                keys.append(key)
                also = next((lit for lit in pattern.literals if lit not in key), b"")
                hits = self.tally.hits(pattern.rule)
                tries[-1].append((key, _Try(also, pattern.find, hits), pattern))
        return tries, keys

    def read(
        self, block: bytes, now: float, first_line: int | None = 1
    ) -> Iterator[Failure | Sign]:
        """What a block of whole lines says, in line order; a line has one finding per filter.

        block: each message is in one line (see containers.plain).
        now: for stamps without a year. first_line: the number of the block's first line. If it is
            None, lines are numbered by the byte they begin at, since counting them takes its time.
        """
        stamps, plans = self.stamps, self._plans
        # The line behind the last one that was looked at: its number, and where it begins.
        following, after = first_line, 0
        for start, end, mask in self._search.lines(block):
            number = start
            if following is not None:
                number = following
                if start != after:
                    number += block.count(b"\n", after, start)
                following, after = number + 1, end + 1
            if end - start > LONGEST_LINE:
                self.tally.overlong += 1
                continue
            line = fields(block[start:end], number, stamps, now)
            plan = plans.get(mask) or self._plan(mask)
            self._line = line
            _, at, text, _ = line
            known, vain = False, 0
            which = plan.which
            if which is None:
                every = plan.tries
            else:
                matching = tuple(which(text))
                every = plan.chosen.get(matching) or plan.choose(matching)
            for tries in every:
                for also, find, hits in tries:
                    if also not in text:
                        continue
                    found = find(line)
                    if found is None:
                        vain += 1
                        continue
                    hits.count += 1
                    hits.last_at = now if at is None else at
                    known = True
                    if type(found) is Failure or found[2] != "known":
                        yield found
                    else:
                        vain += 1
                    break
            if which is None:
                plan.vain += vain
                plan.rare -= 1
                if not plan.rare and plan.is_slow():
                    self._gather(plan)
            if plan.suspect and not known:
                self._note_unmatched(Line(*line), now)

    def _gather(self, plan: _Plan) -> None:
        """Only a few kinds of lines may have this, for the memory."""
        if self._gathered < _MOST_GATHERED:
            self._gathered += plan.gather()

    def _note_unmatched(self, line: Line, now: float) -> None:
        if not any(suspect in line.text for suspect in self._suspects):
            return  # it holds only a part of one, which is searched for elsewhere
        tally = self.tally
        tally.unmatched += 1
        tally.unmatched_line = line.text
        tally.unmatched_at = now if line.at is None else line.at
        if self.on_unmatched is not None:
            self.on_unmatched(line)

    def _plan(self, mask: int) -> _Plan:
        """What to do with a line that holds just the literals of the mask."""
        present = [lit for bit, lit in enumerate(self.searched) if mask & (1 << bit)]

        def perhaps(literal: bytes) -> bool:
            return any(one in literal for one in present)

        tries = ([(one, p) for key, one, p in each if perhaps(key)] for each in self._tries)
        suspect = any(perhaps(one) for one in self._suspects)
        plan = _Plan([each for each in tries if each], suspect)
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
            self._gathered = 0
        self._plans[mask] = plan
        return plan

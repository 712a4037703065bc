"""Logs -> what the filters of each source find in them, in the order of time.

Several logs are read side by side, so rotated ones may be given in any order, and an outage that
one server logs is known when another one logs the failures.

Known limit: a line without a stamp is as old as the one before it in which anything was found.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, Protocol

from mailbanned.cli.exported import text_of
from mailbanned.containers import plain, taken
from mailbanned.filters import FilterSet
from mailbanned.model import Failure, Line, Sign

_CHUNK = 1 << 19
# Of an endless line this much is kept: far more than of any line that is looked at.
_LONGEST = 4 << 20

# A Line is one that looks like a failure, but fits no pattern.
Found = Failure | Sign | Line


class Run(NamedTuple):
    """What was found in a row. at: when the first of it happened if it does not say so (epoch)."""

    at: float
    log: str
    source: str
    found: Sequence[Found]


class Readable(Protocol):
    """An open log."""

    name: str

    def read(self, size: int) -> bytes: ...


class Reading:
    """Reads logs with the filters of all sources.

    lines: how many were read so far.
    """

    def __init__(self, filters: Mapping[str, FilterSet]) -> None:
        self.lines = 0
        self._filters = filters
        self._odd: list[tuple[str, Line]] = []
        for source, one in filters.items():
            one.on_unmatched = partial(self._note_odd, source)

    def read(self, logs: Sequence[Readable]) -> Iterator[Run]:
        """Logs from start to end; a last line without LF counts too."""
        now = time.time()
        if len(logs) == 1:
            return self._runs(logs[0], now)
        return merge(*(_singly(self._runs(log, now)) for log in logs), key=itemgetter(0))

    def _runs(self, log: Readable, now: float) -> Iterator[Run]:
        """What is found in one log, in its order."""
        at, number = now, 1
        for block in _blocks(log):
            for source, found in self._found(block, now, number):
                yield Run(at, log.name, source, found)
                at = next((one.at for one in reversed(found) if one.at is not None), at)
            lines = block.count(b"\n") + (not block.endswith(b"\n"))
            number += lines
            self.lines += lines

    def _found(self, block: bytes, now: float, number: int) -> Iterator[tuple[str, list[Found]]]:
        """What all sources find in whole lines, the first of which has this number."""
        every: list[tuple[str, Found]] = []
        for source, filters in self._filters.items():
            found: list[Found] = list(filters.read(block, now, number))
            if len(self._filters) == 1 and not self._odd:
                yield source, found
                return
            every += ((source, one) for one in found)
        if self._odd:
            # Lines of one server look odd to another one's filters, if both write into one log.
            odd = {line.number: (source, line) for source, line in self._odd if self._is_odd(line)}
            every += odd.values()
            self._odd.clear()
        every.sort(key=lambda one: one[1].number)
        for source, group in groupby(every, key=itemgetter(0)):
            yield source, [one for _, one in group]

    def _is_odd(self, line: Line) -> bool:
        every = (one for filters in self._filters.values() for one in filters.filters)
        return not any(one.match(line) for one in every)

    def _note_odd(self, source: str, line: Line) -> None:
        self._odd.append((source, line))


def _singly(runs: Iterator[Run]) -> Iterator[Run]:
    """Runs of one finding each, so that those of several logs can be put in order."""
    for at, log, source, every in runs:
        for found in every:
            if found.at is not None:
                at = found.at
            yield Run(at, log, source, (found,))


def _blocks(log: Readable) -> Iterator[bytes]:
    """A log in pieces of whole messages, each in one line."""
    rest = b""
    while chunk := log.read(_CHUNK):
        if len(rest) >= _LONGEST and b"\n" not in chunk:
            continue
        data = rest + chunk
        block, end = taken(data)
        if end:
            yield text_of(block)
        rest = data[end:]
    if rest:
        yield text_of(plain(rest))

"""The most recent lines with a failure of each address, for `why`.

Known limits: they are in memory only, so a restart loses them, and lines that were too old to count
are not kept. The newest lines of each address are kept, for the addresses that failed last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from mailbanned.address import Network, to_ip
from mailbanned.bounded import BoundedDict
from mailbanned.model import Failure

_ADDRESSES = 2_000
_LINES = 8
_MAX_BYTES = 400


class LineSeen(NamedTuple):
    """A line with a failure. at: epoch. text: its first 400 bytes."""

    at: float
    source: str
    failure: Failure
    text: bytes


class RecentLines:
    """Lines by address."""

    def __init__(self) -> None:
        # Bare tuples in place of LineSeen: few of them are ever asked for.
        self._lines: BoundedDict[str, deque[tuple[float, str, Failure, bytes]]] = BoundedDict(
            _ADDRESSES
        )

    def add(self, at: float, source: str, failure: Failure, text: bytes) -> None:
        """Adds a line, unless another filter has matched the same one."""
        lines = self._lines.use(failure.address)
        if lines is None:
            lines = self._lines[failure.address] = deque(maxlen=_LINES)
        else:
            before, where, last, _ = lines[-1]
            if last.number == failure.number and before == at and where == source:
                return
        lines.append((at, source, failure, text[:_MAX_BYTES]))

    def within(self, network: Network) -> list[LineSeen]:
        """Returns the newest lines with a failure of an address in the network, oldest first."""
        return sorted(self._within(network), key=lambda line: line.at)[-_LINES:]

    def _within(self, network: Network) -> Iterator[LineSeen]:
        for address, lines in self._lines.items():
            if to_ip(address) in network:
                yield from (LineSeen(*line) for line in lines)

"""The last lines that told of each subject, for whoever asks why it is banned.

Known limits: it is in memory only, so what was handled before the start of the daemon is gone; so
is what was too old to count when it was read. Of each subject the newest lines are kept, and only
those of the subjects that were heard of last.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import NamedTuple

from mailbanned.address import Network, to_ip
from mailbanned.model import Failure

_ADDRESSES = 2_000
_LINES = 8
_LONGEST = 400


class Trace(NamedTuple):
    """A line that told of a failure. at: epoch. text: its first 400 bytes."""

    at: float
    source: str
    failure: Failure
    text: bytes


class Evidence:
    """Lines by address."""

    def __init__(self) -> None:
        # What traces hold, in bare tuples: few of them are ever asked for.
        self._traces: OrderedDict[str, deque[tuple[float, str, Failure, bytes]]] = OrderedDict()

    def note(self, at: float, source: str, failure: Failure, text: bytes) -> None:
        """One more line."""
        address = failure.address
        traces = self._traces.get(address)
        if traces is None:
            traces = self._traces[address] = deque(maxlen=_LINES)
            if len(self._traces) > _ADDRESSES:
                self._traces.popitem(last=False)
        else:
            self._traces.move_to_end(address)
            before, where, last, _ = traces[-1]
            if last.number == failure.number and before == at and where == source:
                return  # the same line, as another filter sees it
        traces.append((at, source, failure, text[:_LONGEST]))

    def of(self, network: Network) -> list[Trace]:
        """The newest lines that told of an address in the network, oldest first."""
        return sorted(self._within(network), key=lambda trace: trace.at)[-_LINES:]

    def _within(self, network: Network) -> Iterator[Trace]:
        for address, traces in self._traces.items():
            if to_ip(address) in network:
                yield from (Trace(*trace) for trace in traces)

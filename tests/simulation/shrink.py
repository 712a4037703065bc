"""The shortest list of moves that still shows a fault.

Leaves out ever smaller pieces of the list, as delta debugging does, as long as the run fails in the
same way; then makes the moves that are left happen while the source waits, where that is enough.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.simulation.simulation import Move

#: How long it may take, in seconds; what is left then is played as it is.
_LIMIT_S = 60.0


def shortest(moves: Sequence[Move], fails: Callable[[Sequence[Move]], bool]) -> list[Move]:
    """The moves without those that the failure does not need. fails: plays moves."""
    end = time.monotonic() + _LIMIT_S

    def still_fails(candidate: Sequence[Move]) -> bool:
        return time.monotonic() < end and fails(candidate)

    kept, size = list(moves), max(1, len(moves) // 2)
    while True:
        before = len(kept)
        begin = 0
        while begin < len(kept):
            candidate = kept[:begin] + kept[begin + size :]
            if still_fails(candidate):
                kept = candidate
            else:
                begin += size
        if size > 1:
            size //= 2
        elif len(kept) == before:
            break
    for place, move in enumerate(kept):
        for simpler in (move._replace(depth=0), move._replace(depth=0, b=1), move._replace(b=1)):
            candidate = [*kept[:place], simpler, *kept[place + 1 :]]
            if simpler != kept[place] and still_fails(candidate):
                kept = candidate
                break
    return kept

"""How long bans took: from reading the deciding line to the first packet that is dropped."""

from __future__ import annotations

from collections import deque
from typing import Any


class ReactionTimes:
    """The newest thousand reaction times, in milliseconds."""

    def __init__(self) -> None:
        self.count = 0
        self.max = 0.0
        self._newest: deque[float] = deque(maxlen=1000)

    def add(self, seconds: float) -> None:
        """One ban came into force this long after its line was read."""
        milliseconds = seconds * 1000
        self.count += 1
        self.max = max(self.max, milliseconds)
        self._newest.append(milliseconds)

    def summary(self) -> dict[str, Any]:
        """count and max of all; p50 and p99 of the newest thousand; null before the first."""
        ordered = sorted(self._newest)

        def share(part: float) -> float | None:
            if not ordered:
                return None
            return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))], 3)

        return {
            "count": self.count,
            "p50": share(0.5),
            "p99": share(0.99),
            "max": round(self.max, 3) if self.count else None,
        }

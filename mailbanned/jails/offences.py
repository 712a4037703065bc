"""How often each subject was banned before in one jail, so that bans may grow.

Known limit: the 50,000 subjects that were banned last are remembered.
"""

from __future__ import annotations

from collections import OrderedDict

from mailbanned.model import Subject

_REMEMBERED = 50_000
# A century; beyond it dates cannot be computed with.
_LONGEST = 100 * 365 * 86400.0


class Offences:
    """Bans in a row: whoever stays quiet for `forgive` seconds after a ban's end begins anew."""

    def __init__(self) -> None:
        # In the order of the last ban: how many there were in a row, and when the last one ends.
        self._bans: OrderedDict[Subject, tuple[int, float]] = OrderedDict()

    def before(self, subject: Subject, at: float, forgive: float) -> int:
        """How many bans count against a subject that is banned at that time."""
        bans, end = self._bans.get(subject, (0, 0.0))
        return bans if at - end <= forgive else 0

    def note(self, subject: Subject, at: float, until: float, forgive: float) -> None:
        """One more ban."""
        self._bans[subject] = self.before(subject, at, forgive) + 1, until
        self._bans.move_to_end(subject)
        if len(self._bans) > _REMEMBERED:
            self._bans.popitem(last=False)

    def take_back(self, subject: Subject) -> None:
        """The last ban was a mistake."""
        bans, end = self._bans.get(subject, (0, 0.0))
        if bans > 1:
            self._bans[subject] = bans - 1, end
        else:
            self.forget(subject)

    def forget(self, subject: Subject) -> None:
        """All is forgiven."""
        self._bans.pop(subject, None)


def grown(bantime: float, factor: float, before: int, most: float | None) -> float:
    """How long a ban lasts (s) after so many before it. most: the longest; None is a century."""
    longest = _LONGEST if most is None else min(most, _LONGEST)
    # What is multiplied a thousand times is beyond any limit, and must not be beyond floats.
    return max(bantime, min(longest, bantime * min(factor ** min(before, 50), 1e12)))

"""A place in the journal's stream of records: what a mark of a journal source holds.

journalctl shows records of one series (its files take over their numbering from each other) in the
order of their numbers, those of one boot by the clock that never jumps, and all others by time; so
are places compared here.
Known limit: where another boot begins another series while the clock is set back, journalctl itself
does not know which records came first.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CURSOR = re.compile(r"[0-9a-z]+=[0-9a-z]+(;[0-9a-z]+=[0-9a-z]+)*")
_SERIES = re.compile(r"s=([0-9a-f]+);i=([0-9a-f]+)(?:;|\Z)")
_BOOT = re.compile(r".*;b=([0-9a-f]+);m=([0-9a-f]+)(?:;|\Z)")
_TEXT = re.compile(r"@([0-9]{1,17}) (.*)")


class Place(NamedTuple):
    """Where a record is; or, without a cursor, a mere moment in time.

    at: when journald got it, in microseconds since the epoch. cursor: journalctl's name of it.
    """

    at: int
    cursor: str = ""

    @property
    def text(self) -> str:
        """The place as a mark."""
        return f"@{self.at} {self.cursor}"

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """The place from a mark, None if it is none."""
        found = _TEXT.fullmatch(text)
        if found is None or (found[2] and not _CURSOR.fullmatch(found[2])):
            return None
        return cls(int(found[1]), found[2])

    def is_after(self, other: Place) -> bool:
        """Whether it comes later in the stream than another place."""
        for numbering in (_SERIES, _BOOT):
            mine, its = numbering.match(self.cursor), numbering.match(other.cursor)
            if mine and its and mine[1] == its[1]:
                return int(mine[2], 16) > int(its[2], 16)
        return self.at > other.at

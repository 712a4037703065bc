"""What a figure should reach: "<= 1.3", "< 150 MB"; and which aims a noisy machine can judge."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_AIM = re.compile(r"([<>]=?) (\d[\d,]*(?:\.\d+)?) ?(\D*)")
#: How many measurements decide about an aim that the first one misses.
TRIES = 3


class Kind(StrEnum):
    """What a figure is. Times and rates are those of one machine under its load."""

    RATIO = "ratio"
    SIZE = "size"
    TIME = "time"
    RATE = "rate"

    @property
    def checked(self) -> bool:
        """Whether an aim of this kind may fail a check."""
        return self in (Kind.RATIO, Kind.SIZE)


#: Kind and decimals of each unit. A share of a core is CPU seconds a second: a rate.
UNITS: dict[str, tuple[Kind, int]] = {
    "": (Kind.RATIO, 2),
    "times": (Kind.RATIO, 2),
    "MB": (Kind.SIZE, 1),
    "bytes each": (Kind.SIZE, 0),
    "ms": (Kind.TIME, 1),
    "s": (Kind.TIME, 3),
    "/s": (Kind.RATE, 0),
    "% CPU": (Kind.RATE, 2),
}


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound: Aim.parse("<= 100 ms")."""

    comparison: str
    bound: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Aim:
        """ValueError if the text is no aim."""
        found = _AIM.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no aim, such as '<= 1.3' or '< 150 MB'")
        return cls(found[1], float(found[2].replace(",", "")), found[3])

    def met(self, number: float) -> bool:
        """Whether a number reaches it."""
        return bool(_COMPARISONS[self.comparison](number, self.bound))

    def decided(self, numbers: Sequence[float]) -> bool | None:
        """Whether repeated measurements reach it; None if it takes another one.

        The first may settle it; after a miss, the median of three does.
        """
        if self.met(numbers[0]):
            return True
        if sum(not self.met(number) for number in numbers) > TRIES // 2:
            return False  # whatever comes, the median misses it
        return self.met(median(numbers)) if len(numbers) == TRIES else None

"""The rows of a benchmark and how they are printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.aims import UNITS, Aim, Kind


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what, how much, what it should reach, and what it is compared with.

    key: its name within its benchmark, the same for ever. number, unit: the value for programs;
    without a number it has been left out.
    """

    what: str
    value: str
    aim: str = ""
    note: str = ""
    key: str = ""
    number: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        if self.aim and self.key and Aim.parse(self.aim).unit != self.unit:
            raise ValueError(f"{self.key} is in {self.unit!r}, and its aim is {self.aim!r}")

    @property
    def kind(self) -> Kind:
        return UNITS[self.unit][0]

    @property
    def met(self) -> bool | None:
        """Whether it reaches its aim; None without an aim or a number."""
        if not self.aim or self.number is None:
            return None
        return Aim.parse(self.aim).met(self.number)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Several figures for each of several programs. figures: the same, one by one."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """When (seconds after the write) one address after the other was kept out, in order."""

    name: str
    times: Sequence[float]


@dataclass(frozen=True, slots=True)
class Plot:
    """A wave of addresses: a curve for each program."""

    curves: Sequence[Curve]
    addresses: int


#: What a benchmark returns.
Found = Sequence[Row | Matrix | Plot]


def measured(key: str, what: str, number: float, unit: str, aim: str = "", note: str = "") -> Row:
    """A row whose value is spelled as its unit demands."""
    value = f"{number:,.{UNITS[unit][1]}f}{'' if unit in ('', '/s') else ' '}{unit}"
    return Row(what, value, aim, note, key, number, unit)


def left_out(key: str, what: str, unit: str, aim: str, why: str) -> Row:
    """A row that has no number here."""
    return Row(what, "left out", aim, why, key, None, unit)


def rows_of(found: Found) -> list[Row]:
    """The rows that stand alone."""
    return [row for row in found if isinstance(row, Row)]


def figures_of(found: Found) -> list[Row]:
    """Every figure, those of the matrices, too."""
    figures = rows_of(found)
    for matrix in found:
        if isinstance(matrix, Matrix):
            figures += matrix.figures
    return figures


def show(title: str, found: Found) -> None:
    """Prints the figures of one benchmark."""
    print(f"\n{title}")
    rows = rows_of(found)
    width = max((len(row.what) for row in rows), default=0)
    for row in rows:
        aim = f"  ({'misses its aim' if row.met is False else 'aim'} {row.aim})" if row.aim else ""
        note = f"  {row.note}" if row.note else ""
        print(f"  {row.what:<{width}}  {row.value:>14}{aim}{note}", flush=True)
    for matrix in found:
        if isinstance(matrix, Matrix):
            _show_matrix(matrix)


def _show_matrix(matrix: Matrix) -> None:
    lines = [matrix.head, *matrix.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        print("  " + "  ".join(cells).rstrip(), flush=True)


def share(values: list[float], part: float) -> float:
    """The value below which `part` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def spread(values: Iterable[float], unit: str, digits: int = 2) -> str:
    """Minimum and maximum beside a median."""
    numbers = list(values)
    low, high = f"{min(numbers):,.{digits}f}", f"{max(numbers):,.{digits}f}"
    return f"{low} to {high}{'' if unit in ('', '/s') else ' '}{unit} in {len(numbers)} runs"


__all__ = [
    "Curve",
    "Found",
    "Matrix",
    "Plot",
    "Row",
    "figures_of",
    "left_out",
    "measured",
    "median",
    "rows_of",
    "share",
    "show",
    "spread",
]

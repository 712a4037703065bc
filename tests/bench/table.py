"""The rows of a benchmark and how they are printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what, how much, what it should reach, and what it is compared with."""

    what: str
    value: str
    aim: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Several figures for each of several programs."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def show(title: str, found: Iterable[Row | Matrix]) -> None:
    """Prints the figures of one benchmark."""
    print(f"\n{title}")
    rows = [one for one in found if isinstance(one, Row)]
    width = max((len(row.what) for row in rows), default=0)
    for row in rows:
        aim = f"  (aim {row.aim})" if row.aim else ""
        note = f"  {row.note}" if row.note else ""
        print(f"  {row.what:<{width}}  {row.value:>14}{aim}{note}", flush=True)
    for one in found:
        if isinstance(one, Matrix):
            _show_matrix(one)


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


def spread(values: list[float], unit: str, digits: int = 2) -> str:
    """Minimum and maximum beside a median."""
    return f"{min(values):.{digits}f} to {max(values):.{digits}f} {unit} in {len(values)} runs"


__all__ = ["Matrix", "Row", "median", "share", "show", "spread"]

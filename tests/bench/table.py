"""The rows of a benchmark and how they are printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what, how much, what it should reach, and what it is compared with."""

    what: str
    value: str
    aim: str = ""
    note: str = ""


def show(title: str, rows: Iterable[Row]) -> None:
    """Prints the rows of one benchmark as a table."""
    rows = list(rows)
    width = max(len(row.what) for row in rows)
    print(f"\n{title}")
    for row in rows:
        aim = f"  (aim {row.aim})" if row.aim else ""
        note = f"  {row.note}" if row.note else ""
        print(f"  {row.what:<{width}}  {row.value:>14}{aim}{note}", flush=True)


def share(values: list[float], part: float) -> float:
    """The value below which `part` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def spread(values: list[float], unit: str, digits: int = 2) -> str:
    """Minimum and maximum beside a median."""
    return f"{min(values):.{digits}f} to {max(values):.{digits}f} {unit} in {len(values)} runs"


__all__ = ["Row", "median", "share", "show", "spread"]

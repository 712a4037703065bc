"""Judges short runs: an aim that is a ratio or a size must be reached (`./dev bench --check`).

Times and rates are shown and not judged: they say more about the machine than about the program.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.bench.aims import Aim
from tests.bench.registry import Benchmark
from tests.bench.table import Found, Row, figures_of, show


@dataclass
class Verdict:
    """What several benchmarks have missed, and what was not measured at all."""

    missed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    reached: int = 0

    def status(self, strict: bool) -> int:
        """The exit status. strict: what was left out is a failure."""
        return int(bool(self.missed or (strict and self.left_out)))

    def show(self, strict: bool) -> None:
        """Prints it, what matters most last."""
        print(f"\nratios and sizes that reach their aims: {self.reached}")
        for text in self.left_out:
            print(f"NOT CHECKED{' (a failure in CI)' if strict else ''}: {text}")
        for text in self.missed:
            print(f"MISSED: {text}")


def check(chosen: Mapping[str, Benchmark]) -> Verdict:
    """Runs short forms, one after the other."""
    verdict = Verdict()
    for name, benchmark in chosen.items():
        if reason := benchmark.missing():
            print(f"\n{benchmark.title}: NOT CHECKED, {reason}", flush=True)
            verdict.left_out.append(f"{name}: {reason}")
            continue
        try:
            judge(name, benchmark, verdict)
        except Exception as error:  # the others are to be judged all the same
            traceback.print_exc()
            verdict.missed.append(f"{name}: did not come to its end: {error!r}")
    return verdict


def judge(name: str, benchmark: Benchmark, into: Verdict) -> None:
    """Runs one benchmark, and again while an aim is missed and not decided."""
    found = _run(benchmark)
    figures = figures_of(found)
    into.left_out += [f"{name}: {row.what}: {row.note}" for row in figures if row.number is None]
    into.missed += [
        f"{name}: {row.what.strip()!r} has an aim but no key and number"
        for row in figures
        if row.aim and not row.key
    ]
    rows = {row.key: row for row in figures if row.key and row.aim and row.kind.checked}
    numbers = {key: [row.number] for key, row in rows.items() if row.number is not None}
    while undecided := [key for key in numbers if _decided(rows[key], numbers[key]) is None]:
        print(f"  measured again, for it misses its aim: {', '.join(undecided)}", flush=True)
        again = {row.key: row.number for row in figures_of(_run(benchmark))}
        for key in undecided:
            number = again[key]
            assert number is not None, f"{key} was left out the second time"
            numbers[key].append(number)
    missed = [key for key in numbers if not _decided(rows[key], numbers[key])]
    into.reached += len(numbers) - len(missed)
    for key in missed:
        row, values = rows[key], ", ".join(f"{number:.2f}" for number in numbers[key])
        into.missed.append(
            f"{name}: {row.what.strip()} ({name}.{key}) is {values} {row.unit}".rstrip()
            + f", and its aim is {row.aim}"
        )


def _run(benchmark: Benchmark) -> Found:
    found = benchmark.run(short=True)
    show(benchmark.title, found)
    return found


def _decided(row: Row, numbers: list[float]) -> bool | None:
    return Aim.parse(row.aim).decided(numbers)

"""A complete run of one commit, for docs/benchmarks (`./dev bench --save`).

It takes long, so that each benchmark's results are kept in .cache/bench/ as it ends. --resume goes
on with them if the commit is the same.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

from tests.bench.checkout import TOP, Unclean, commit
from tests.bench.registry import Benchmark
from tests.bench.report import Report, write
from tests.bench.table import Found, figures_of, show

#: Where git does not look.
KEPT = TOP / ".cache" / "bench"


class Kept:
    """The results of one commit that are there already, one file for each benchmark."""

    def __init__(self, folder: Path, commit: str) -> None:
        self._folder = folder / commit

    def clear(self) -> None:
        """Forgets all of them."""
        for file in self._folder.glob("*.pickle"):
            file.unlink()

    def add(self, name: str, found: Found) -> None:
        """Keeps what a benchmark has found, whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{name}.part"
        part.write_bytes(pickle.dumps(found))
        part.rename(self._folder / f"{name}.pickle")

    def get(self, name: str) -> Found | None:
        """What a benchmark had found, None if it has not run."""
        try:
            data = (self._folder / f"{name}.pickle").read_bytes()
        except FileNotFoundError:
            return None
        found: Found = pickle.loads(data)
        return found


def run_and_save(
    benchmarks: Mapping[str, Benchmark], *, resume: bool, top: Path = TOP, kept: Path = KEPT
) -> None:
    """Runs all of them and writes docs/benchmarks; Unclean if the results are not of one commit."""
    measured = commit(top)
    parts = Kept(kept, measured)
    if not resume:
        parts.clear()
    results: dict[str, Found] = {}
    for name, benchmark in benchmarks.items():
        found = parts.get(name)
        if found is None:
            found = benchmark.run()
            if commit(top) != measured:
                raise Unclean(f"another commit was checked out while {name} ran")
            parts.add(name, found)
        else:
            print(f"\n{name}: kept from an earlier run of this commit")
        show(benchmark.title, found)
        if left_out := [row.what.strip() for row in figures_of(found) if row.number is None]:
            raise Unclean(f"{name} has left out: {', '.join(left_out)}")
        results[name] = found
    titles = {name: benchmark.title for name, benchmark in benchmarks.items()}
    write(Report(measured, titles, results), top / "docs" / "benchmarks")

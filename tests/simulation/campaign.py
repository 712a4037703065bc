"""Many runs of a simulation on all cores.

A seed that fails is shortened at once, in the process that found it.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from structlog.testing import capture_logs

from tests.simulation.shrink import shortest
from tests.simulation.simulation import Move, Outcome, Simulation

#: How many seeds for each core make a batch.
_AT_ONCE = 20


@dataclass
class Failure:
    """A seed that fails. steps: what happened in the shortest run that fails in the same way."""

    simulation: str
    seed: int
    scenario: object
    fault: str
    steps: list[str]

    def report(self) -> str:
        """The failure for a reader."""
        heading = f"seed {self.seed}: {self.fault}\n{self.scenario}"
        again = f"again: ./dev simulate {self.simulation} --seed {self.seed}"
        return "\n".join([heading, *self.steps, again])


class Totals:
    """What many runs found. names: the figures that are added up; without any, failed runs."""

    def __init__(self, names: Sequence[str]) -> None:
        self.runs = self.failed = 0
        self._names = names
        self._counts: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        """One more run."""
        self.runs += 1
        self.failed += bool(outcome.fault)
        self._counts.update(outcome.counts)

    def __str__(self) -> str:
        figures = [f"{name} {self._counts[name]}" for name in self._names]
        return ", ".join([f"runs {self.runs}", *(figures or [f"failed {self.failed}"])])


def play(simulation: Simulation, seed: int, chosen: Sequence[Move] | None = None) -> Outcome:
    """Plays the moves of a seed, or others in its scenario."""
    with capture_logs():
        return simulation.play(seed, simulation.moves(seed) if chosen is None else chosen)


def shorten(simulation: Simulation, seed: int) -> Failure:
    """The shortest list of steps with which a seed fails in the same way as with all of them."""
    kind = _kind(play(simulation, seed).fault)

    def fails(chosen: Sequence[Move]) -> bool:
        return _kind(play(simulation, seed, chosen).fault) == kind

    outcome = play(simulation, seed, shortest(simulation.moves(seed), fails))
    scenario = simulation.scenario(seed)
    return Failure(simulation.name, seed, scenario, outcome.fault, outcome.steps)


def _kind(fault: str) -> str:
    """A fault without its numbers and names."""
    return re.sub(r"[\d,/'\"].*", "", fault)


def _play_and_shorten(simulation: Simulation, seed: int) -> tuple[Outcome, Failure | None]:
    outcome = play(simulation, seed)
    return outcome, shorten(simulation, seed) if outcome.fault else None


def play_all(
    simulation: Simulation, seeds: Iterable[int]
) -> Iterator[tuple[Outcome, Failure | None]]:
    """Plays seeds on all cores, in their order, a batch at a time."""
    cores = os.cpu_count() or 1
    seeds = iter(seeds)
    # Processes that are started and not forked: what this one has open must not be taken along.
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        while batch := list(islice(seeds, cores * _AT_ONCE)):
            yield from pool.imap(partial(_play_and_shorten, simulation), batch)


def failures(simulation: Simulation, seeds: Iterable[int]) -> list[str]:
    """The reports of the seeds that fail, one after the other in this process."""
    results = (_play_and_shorten(simulation, seed) for seed in seeds)
    return [failure.report() for _, failure in results if failure is not None]


def fresh_seeds(first: int, runs: int | None, minutes: float | None) -> Iterator[int]:
    """Seeds from `first` on: that many, or as long as the time lasts."""
    end = None if minutes is None else time.monotonic() + 60 * minutes
    seed = first
    while (runs is None or seed < first + runs) and (end is None or time.monotonic() < end):
        yield seed
        seed += 1

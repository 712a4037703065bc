"""`python -m tests.simulation [NAME] [--seed N] [--runs N] [--minutes M]`: simulated runs.

NAME is one of simulations.py; without it, the file source. Without other arguments, a minute of
fresh seeds. --seed alone plays that seed and shows its steps if it fails. The last line counts the
runs and what they found (of the file source: `runs N, lines N, lost N, repeated N`; of the journal
source, records instead of lines). The exit status is 0 only if no run failed in any way.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from tests.simulation.campaign import Totals, fresh_seeds, play_all
from tests.simulation.simulations import SIMULATIONS


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./dev simulate",
        description="Plays what may happen, in any order, and looks for what must not.",
    )
    parser.add_argument("name", nargs="?", default="files", choices=SIMULATIONS, help="of what")
    parser.add_argument("--seed", type=int, help="the first seed; by default, chosen at random")
    parser.add_argument("--runs", type=int, help="how many seeds; 1 if only --seed is given")
    parser.add_argument("--minutes", type=float, help="how long; 1 if nothing else is given")
    options = parser.parse_args()
    runs, minutes = options.runs, options.minutes
    if runs is None and minutes is None:
        runs, minutes = (None, 1.0) if options.seed is None else (1, None)
    first = secrets.randbelow(1 << 40) if options.seed is None else options.seed
    print(f"simulate: from seed {first}", flush=True)
    simulation = SIMULATIONS[options.name]
    totals, began = Totals(simulation.counts), time.monotonic()
    for outcome, failure in play_all(simulation, fresh_seeds(first, runs, minutes)):
        totals.add(outcome)
        if failure is not None:
            print(failure.report(), flush=True)
        if totals.runs % 5000 == 0:
            print(f"simulate: {totals}", flush=True)
    print(f"simulate: {time.monotonic() - began:.0f} s, {totals.failed} runs failed")
    print(totals)
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())

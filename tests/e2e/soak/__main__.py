"""`python -m tests.e2e.soak [--minutes N] [--seed S] [--backend NAME]`: attacks, and faults.

Faults come in an order that the seed decides, each with the firewall of the moment; with both
backends, the daemon changes from one to the other every few rounds. The exit code is 1 if anything
is not as it must be; what it was, the seed and the round are printed then. Bans last for seconds,
so that an hour sees as many bans, ends of bans and returns as a busy host does in a month.

Known limit: the moment at which a fault meets the traffic is that of the machine, so a seed repeats
the order of events and not their timing.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from tests.e2e.soak.faults import FAULTS, exchange_backend
from tests.e2e.soak.scene import Scene
from tests.e2e.soak.soak import Soak
from tests.real.lab import missing

_PAUSE = 1.0
_FAULTS_A_ROUND = 4
_ROUNDS_A_BACKEND = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev soak", description="Attacks, faults, and a judge.")
    parser.add_argument("--minutes", type=float, default=60.0, help="60 by default")
    parser.add_argument("--seed", type=int, default=1, help="of traffic and faults; 1 by default")
    parser.add_argument("--backend", choices=["both", "firewalld", "nftables"], default="both")
    options = parser.parse_args()
    if reason := missing():
        print(f"soak: {reason}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    first = "firewalld" if options.backend == "both" else options.backend
    with tempfile.TemporaryDirectory(prefix="mailbanned-soak-") as folder:
        try:
            with Scene(Path(folder), first) as scene:
                return _run(scene, options)
        except KeyboardInterrupt:
            return 130


def _stop(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _run(scene: Scene, options: argparse.Namespace) -> int:
    soak, chance = Soak(scene, options.seed), random.Random(options.seed)
    began = time.monotonic()
    print(f"soak: {options.minutes:g} minutes, seed {options.seed}", flush=True)
    while time.monotonic() < began + 60 * options.minutes:
        faults = chance.sample(list(FAULTS), _FAULTS_A_ROUND)
        exchange = options.backend == "both" and soak.rounds % _ROUNDS_A_BACKEND == 4
        said = ", ".join([*faults, "exchange"] if exchange else faults)
        try:
            soak.round([*faults, exchange_backend] if exchange else faults, _PAUSE)
        except AssertionError as error:
            print(f"FAILED in round {soak.rounds} ({scene.backend}, seed {options.seed}): {said}")
            print(f"  {error}", flush=True)
            return 1
        print(
            f"{(time.monotonic() - began) / 60:5.1f} min  round {soak.rounds}  {scene.backend:9}  "
            f"{soak.failures} failures, {soak.banned} bans, {soak.memory / 2**20:.1f} MB  {said}",
            flush=True,
        )
    print("good: nothing was lost, and whoever must be kept out is, and nobody else", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

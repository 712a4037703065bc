"""One target in a plain loop of mutations, where atheris cannot be had. Sees no coverage.

Like guided.py it is a process of its own; what fails is left in a file of the folder of finds.
"""

from __future__ import annotations

import hashlib
import random
import sys
import time
from pathlib import Path

from tests.e2e.fuzz.pieces import mixed
from tests.e2e.fuzz.targets import TARGETS


def main(name: str, finds: str, seconds: str, seed: str) -> None:
    """Checks mutated seeds until time is up. Raises what the check raises."""
    target, chance = TARGETS[name], random.Random(int(seed))
    deadline, runs = time.monotonic() + float(seconds), 0
    with target.open() as check:
        while time.monotonic() < deadline:
            data = mixed(chance, chance.choice(target.seeds), target.seeds)
            runs += 1
            try:
                check(data)
            except Exception:
                Path(finds, f"crash-{hashlib.sha1(data).hexdigest()}").write_bytes(data)
                raise
    print(f"{runs} inputs, none of them fails")


if __name__ == "__main__":
    main(*sys.argv[1:])

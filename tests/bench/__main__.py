"""`python -m tests.bench [NAME...]`: all benchmarks, or those named."""

from __future__ import annotations

import os
import platform
import sys

from tests.bench import catchup, idle, million, nftables, reaction, replay, standing, wakeup
from tests.bench.table import show
from tests.real.lab import missing

_ALL = {
    "replay": ("Old logs through the jails", replay.run, False),
    "catchup": ("After a long absence", catchup.run, False),
    "wakeup": ("From the log line to the filters", wakeup.run, False),
    "million": ("A million attackers", million.run, False),
    "idle": ("At rest", idle.run, True),
    "nftables": ("A table of our own in nftables", nftables.run, True),
    "reaction": ("From the log line to the kernel", reaction.run, True),
    "standing": ("Bans that stand in firewalld", standing.run, True),
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in _ALL]
    if unknown:
        print(f"there is no benchmark {unknown[0]!r}; known are {', '.join(_ALL)}", file=sys.stderr)
        return 2
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    for name in names or _ALL:
        title, run, needs_lab = _ALL[name]
        if needs_lab and missing():
            print(f"\n{title}: left out, {missing()}")
            continue
        show(title, run())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

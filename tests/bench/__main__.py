"""`python -m tests.bench [--save] [NAME...]`: all benchmarks, or those named.

--save also writes docs/benchmarks/results.md and .json.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Sequence

from tests.bench import (
    catchup,
    idle,
    million,
    nftables,
    peers,
    reaction,
    replay,
    standing,
    wakeup,
)
from tests.bench.report import save
from tests.bench.table import Matrix, Row, show
from tests.real.lab import missing

_ALL: dict[str, tuple[str, Callable[[], Sequence[Row | Matrix]], bool]] = {
    "peers": ("Beside fail2ban and sshguard", peers.run, True),
    "replay": ("Old logs through the jails", replay.run, False),
    "catchup": ("After a long absence", catchup.run, False),
    "wakeup": ("From the log line to the filters", wakeup.run, False),
    "million": ("A million attackers", million.run, False),
    "idle": ("At rest", idle.run, True),
    "nftables": ("A table of our own in nftables", nftables.run, True),
    "reaction": ("From the log line to the kernel", reaction.run, True),
    "standing": ("Bans that stand in firewalld", standing.run, True),
}


def main(arguments: list[str]) -> int:
    names = [one for one in arguments if one != "--save"]
    unknown = [name for name in names if name not in _ALL]
    if unknown:
        print(f"there is no benchmark {unknown[0]!r}; known are {', '.join(_ALL)}", file=sys.stderr)
        return 2
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    results = {}
    for name in names or _ALL:
        title, run, needs_lab = _ALL[name]
        if needs_lab and missing():
            print(f"\n{title}: left out, {missing()}")
            continue
        results[title] = run()
        show(title, results[title])
    if "--save" in arguments:
        save(results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

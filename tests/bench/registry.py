"""All benchmarks, by the name that `./dev bench` and results.json call them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import NamedTuple, Protocol

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
from tests.bench.programs import ALL
from tests.bench.table import Found
from tests.real.lab import missing


class Run(Protocol):
    """Measures. short: in less time, with ratios and sizes that still say something."""

    def __call__(self, short: bool = False) -> Found: ...


class Benchmark(NamedTuple):
    """missing: why it cannot run here, "" if it can."""

    title: str
    run: Run
    missing: Callable[[], str]


def _nothing() -> str:
    return ""


BENCHMARKS = {
    "peers": Benchmark("Beside fail2ban and sshguard", peers.run, missing),
    "replay": Benchmark("Old logs through the jails", replay.run, _nothing),
    "catchup": Benchmark("After a long absence", catchup.run, _nothing),
    "wakeup": Benchmark("From the log line to the filters", wakeup.run, _nothing),
    "million": Benchmark("A million attackers", million.run, _nothing),
    "idle": Benchmark("At rest", idle.run, missing),
    "nftables": Benchmark("A table of our own in nftables", nftables.run, missing),
    "reaction": Benchmark("From the log line to the kernel", reaction.run, missing),
    "standing": Benchmark("Bans that stand in firewalld", standing.run, missing),
}


def lacking() -> list[str]:
    """What stops a complete run of all of them here."""
    reasons = {benchmark.missing() for benchmark in BENCHMARKS.values()}
    reasons |= {program.missing() for program in ALL}
    if shutil.which("fail2ban-regex") is None:
        reasons.add("fail2ban is not installed")
    return sorted(reasons - {""})

"""From the write of the deciding line to the rule in the kernel: one address, and a wave of 100."""

from __future__ import annotations

import asyncio
import random
import time

from tests.bench.bare import add_rules
from tests.bench.host import Host
from tests.bench.table import Row, median, share, spread
from tests.running import ssh

_SINGLES = 200
_WAVE = 100
_ROUNDS = 5


def single(host: Host) -> list[Row]:
    """One attacker at a time, at moments that nothing is in step with."""
    chance = random.Random(1)
    took = []
    for number in range(_SINGLES):
        address = f"198.18.0.{number + 1}"
        written = host.append("secure", [ssh(address)])
        seen = host.kernel.wait_for([address])
        took.append((seen[address] - written) * 1000)
        time.sleep(0.02 + chance.random() * 0.03)
    own = host.daemon.status()["reaction_ms"]
    return [
        Row("line written to rule in the kernel, p50", f"{median(took):.1f} ms", "<= 15 ms"),
        Row("                                    p99", f"{share(took, 0.99):.1f} ms", "<= 50 ms"),
        Row("                                  worst", f"{max(took):.1f} ms", "", f"of {_SINGLES}"),
        Row("line read to answer of firewalld, p50", f"{own['p50']:.1f} ms", "", "as status says"),
    ]


def wave(host: Host) -> list[Row]:
    """100 addresses in one write, against 100 bare addRichRule calls, in turn."""
    ours, bare, windowed = [], [], []
    for round_ in range(_ROUNDS):
        addresses = [f"198.18.{round_ + 1}.{n + 1}" for n in range(_WAVE)]
        host.unban_all()
        written = host.append("secure", [ssh(address) for address in addresses])
        ours.append(max(host.kernel.wait_for(addresses).values()) - written)
        host.unban_all()
        bare.append(asyncio.run(add_rules(host.lab.bus_address, addresses, 1)))
        windowed.append(asyncio.run(add_rules(host.lab.bus_address, addresses, 4)))
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return [
        Row("wave of 100, last one in the kernel", f"{median(ours):.3f} s", "", spread(ours, "s")),
        Row("100 bare addRichRule calls", f"{median(bare):.3f} s", "", spread(bare, "s")),
        Row("the same, four in flight", f"{median(windowed):.3f} s", "", spread(windowed, "s")),
        Row("wave / bare calls", f"{median(ratios):.2f}", "<= 1.3", spread(ratios, "")),
    ]


def run() -> list[Row]:
    """Both, on one host."""
    with Host() as host:
        return [*single(host), *wave(host)]

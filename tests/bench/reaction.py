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


def single(host: Host) -> list[float]:
    """One attacker at a time, at moments that nothing is in step with; milliseconds."""
    chance = random.Random(1)
    took = []
    for number in range(_SINGLES):
        address = f"198.18.0.{number + 1}"
        written = host.append("secure", [ssh(address)])
        seen = host.kernel.wait_for([address])
        took.append((seen[address] - written) * 1000)
        time.sleep(0.02 + chance.random() * 0.03)
    return took


def wave(host: Host, round_: int) -> float:
    """Seconds until the last of 100 addresses in one write is kept out."""
    addresses = _wave(round_)
    host.unban_all()
    written = host.append("secure", [ssh(address) for address in addresses])
    return max(host.kernel.wait_for(addresses).values()) - written


def _wave(round_: int) -> list[str]:
    return [f"198.18.{round_ + 1}.{n + 1}" for n in range(_WAVE)]


def _alone(host: Host) -> list[Row]:
    """firewalld alone against bare addRichRule calls, in turn."""
    took, ours, bare, windowed = single(host), [], [], []
    for round_ in range(_ROUNDS):
        ours.append(wave(host, round_))
        host.unban_all()
        bare.append(asyncio.run(add_rules(host.lab.bus_address, _wave(round_), 1)))
        windowed.append(asyncio.run(add_rules(host.lab.bus_address, _wave(round_), 4)))
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return [
        Row("without interim bans: rule of firewalld, p50", f"{median(took):.1f} ms"),
        Row("    wave of 100, the last rule", f"{median(ours):.3f} s", "", spread(ours, "s")),
        Row("    100 bare addRichRule calls", f"{median(bare):.3f} s", "", spread(bare, "s")),
        Row("    the same, four in flight", f"{median(windowed):.3f} s", "", spread(windowed, "s")),
        Row("    wave / bare calls", f"{median(ratios):.2f}", "<= 1.3", spread(ratios, "")),
    ]


def run() -> list[Row]:
    """As it is installed, and with firewalld alone."""
    with Host() as host:
        took = single(host)
        own = host.daemon.status()["reaction_ms"]
        waves = [wave(host, round_) for round_ in range(_ROUNDS)]
    with Host(interim=False) as host:
        alone = _alone(host)
    return [
        Row("line written to packets dropped, p50", f"{median(took):.1f} ms", "<= 15 ms"),
        Row("                                p99", f"{share(took, 0.99):.1f} ms", "<= 50 ms"),
        Row("                              worst", f"{max(took):.1f} ms", "", f"of {_SINGLES}"),
        Row("line read to packets dropped, p50", f"{own['p50']:.1f} ms", "", "as status says"),
        Row("wave of 100, the last one dropped", f"{median(waves):.3f} s", "<= 0.8 s",
            spread(waves, "s")),
        *alone,
    ]  # fmt: skip

"""From the write of the deciding line to the rule in the kernel: one address, and a wave of 100."""

from __future__ import annotations

import asyncio
import random
import time

from tests.bench.bare import add_rules
from tests.bench.host import Host
from tests.bench.table import Row, measured, median, share, spread
from tests.running import ssh

_SINGLES, _SHORT_SINGLES = 200, 30
_WAVE = 100
_ROUNDS, _SHORT_ROUNDS = 5, 2


def single(host: Host, singles: int) -> list[float]:
    """One attacker at a time, at moments that nothing is in step with; milliseconds."""
    chance = random.Random(1)
    took = []
    for number in range(singles):
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


def _alone(host: Host, singles: int, rounds: int) -> list[Row]:
    """firewalld alone against bare addRichRule calls, in turn."""
    took, ours, bare, windowed = single(host, singles), [], [], []
    for round_ in range(rounds):
        ours.append(wave(host, round_))
        host.unban_all()
        bare.append(asyncio.run(add_rules(host.lab.bus_address, _wave(round_), 1)))
        windowed.append(asyncio.run(add_rules(host.lab.bus_address, _wave(round_), 4)))
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return [
        measured("rule.p50", "without interim bans: rule of firewalld, p50", median(took), "ms"),
        _seconds("rule.wave", "    wave of 100, the last rule", ours),
        _seconds("bare", "    100 bare addRichRule calls", bare),
        _seconds("windowed", "    the same, four in flight", windowed),
        measured(
            "ratio", "    wave / bare calls", median(ratios), "", "<= 1.3", spread(ratios, "")
        ),
    ]


def run(short: bool = False) -> list[Row]:
    """As it is installed, and with firewalld alone."""
    singles = _SHORT_SINGLES if short else _SINGLES
    rounds = _SHORT_ROUNDS if short else _ROUNDS
    with Host() as host:
        took = single(host, singles)
        own = host.daemon.status()["reaction_ms"]
        waves = [wave(host, round_) for round_ in range(rounds)]
    with Host(interim=False) as host:
        alone = _alone(host, singles, rounds)
    dropped = "line written to packets dropped"
    return [
        measured("p50", f"{dropped}, p50", median(took), "ms", "<= 15 ms"),
        measured("p99", f"{dropped}, p99", share(took, 0.99), "ms", "<= 50 ms"),
        measured("worst", f"{dropped}, worst", max(took), "ms", "", f"of {singles}"),
        measured(
            "own.p50", "line read to packets dropped, p50", own["p50"], "ms", "", "as status says"
        ),
        _seconds("wave", "wave of 100, the last one dropped", waves, "<= 0.8 s"),
        *alone,
    ]


def _seconds(key: str, what: str, seconds: list[float], aim: str = "") -> Row:
    return measured(key, what, median(seconds), "s", aim, spread(seconds, "s", 3))

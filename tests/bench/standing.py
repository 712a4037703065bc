"""Bans that stand in firewalld: a new one among many, and all of them after a reload or a restart.

firewalld takes rules one by one, and each takes longer the more there are; so what the daemon takes
to put them again is compared with bare calls of the same run.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field

from mailbanned.firewall import calls
from mailbanned.firewall.bus import Bus, Signal
from mailbanned.firewall.calls import Calls
from tests.bench.bare import add_rules
from tests.bench.host import Host, KernelRules
from tests.bench.table import Row, median, spread
from tests.running import ssh

_MANY = 2_000
_SOME = 500
_SINGLES = 25
_NEWCOMERS = 12
_ROUNDS = 3


@dataclass
class Reloads:
    """What several reloads brought, in seconds since firewalld said that it had reloaded.

    first, back: when the first and the last ban was in the kernel again.
    newcomers: from the line of a new attacker to the kernel, while bans were still coming back.
    bare: what the same rules take without us.
    """

    first: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    newcomers: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)


def _addresses(net: int, count: int) -> list[str]:
    return [f"198.{net}.{n // 250}.{n % 250 + 1}" for n in range(count)]


def _ban(host: Host, addresses: list[str]) -> None:
    """Bans them by their log lines; returns when the kernel has them all."""
    with closing(KernelRules(host.lab)) as kernel:
        host.append("secure", [ssh(address) for address in addresses])
        kernel.wait_for(addresses, 240.0)


def _singles(host: Host, net: int) -> list[float]:
    """Seconds for new bans, one at a time, at moments that nothing is in step with."""
    chance = random.Random(net)
    took = []
    with closing(KernelRules(host.lab)) as kernel:
        for address in _addresses(net, _SINGLES):
            written = host.append("secure", [ssh(address)])
            took.append(kernel.wait_for([address])[address] - written)
            time.sleep(0.05 + chance.random() * 0.05)
    return took


@asynccontextmanager
async def _reload_signals(host: Host) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """Tells when (monotonic) firewalld says the next time that it has reloaded."""
    heard: asyncio.Queue[float] = asyncio.Queue()

    def receive(signal: Signal) -> None:
        if signal.member == "Reloaded":
            heard.put_nowait(time.monotonic())

    bus = Bus(receive, lambda _: None, 10.0)
    await bus.open(host.lab.bus_address)
    await Calls(bus).subscribe(f"type='signal',interface='{calls.NAME}',member='Reloaded'")
    try:
        yield heard.get
    finally:
        await bus.close()


async def _reload(host: Host, standing: list[str], net: int, into: Reloads) -> None:
    """One reload, and new attackers while the bans come back."""
    chance = random.Random(net)
    newcomers = _addresses(net, _NEWCOMERS)
    written: dict[str, float] = {}
    async with _reload_signals(host) as next_one, asyncio.timeout(60):
        reload = asyncio.create_task(asyncio.to_thread(host.lab.reload))
        reloaded = await next_one()
        # A fresh socket hears nothing of the rules that the reload has deleted.
        with closing(KernelRules(host.lab)) as kernel:
            hearing = asyncio.create_task(
                asyncio.to_thread(kernel.wait_for, [*standing, *newcomers])
            )
            for address in newcomers:
                await asyncio.sleep(0.02 + chance.random() * 0.15)
                written[address] = host.append("secure", [ssh(address)])
            seen = await hearing
        await reload
    back = [seen[address] - reloaded for address in standing]
    into.first.append(min(back))
    into.back.append(max(back))
    into.newcomers += [seen[one] - at for one, at in written.items() if at < reloaded + max(back)]


def _reloads(host: Host) -> Reloads:
    """Bare calls and a reload in turn, each beginning without rules."""
    into = Reloads()
    standing = _addresses(20, _SOME)
    for round_ in range(_ROUNDS):
        host.unban_all()
        into.bare.append(asyncio.run(add_rules(host.lab.bus_address, standing, 1)))
        _ban(host, standing)
        asyncio.run(_reload(host, standing, 30 + round_, into))
    return into


def _restarts(host: Host) -> tuple[float, float]:
    """Seconds from the start of a daemon to all its bans: in the kernel all along, and gone."""
    host.unban_all()
    standing = _addresses(20, _SOME)
    _ban(host, standing)
    host.daemon.stop()
    began = time.monotonic()
    host.daemon.start()
    host.daemon.wait(
        lambda: host.daemon.status()["firewall"]["bans_in_force"] == _SOME, "they are adopted"
    )
    adopted = time.monotonic() - began
    host.daemon.stop()
    host.lab.reload()
    with closing(KernelRules(host.lab)) as kernel:
        began = time.monotonic()
        host.daemon.start()
        restored = max(kernel.wait_for(standing).values()) - began
    return adopted, restored


def _bridged(host: Host) -> float:
    """Seconds from a reload to the moment when interim bans keep all bans out again."""
    standing = _addresses(20, _SOME)
    _ban(host, standing)
    host.daemon.wait(
        lambda: host.daemon.status()["firewall"]["bans_in_force"] == _SOME, "all are in force", 60
    )
    host.daemon.stop()
    host.lab.host.exec("nft", "delete", "table", "inet", "mailbanned")  # as after some minutes
    host.daemon.start()
    host.daemon.wait(
        lambda: host.daemon.status()["firewall"]["bans_in_force"] == _SOME, "they are adopted"
    )

    async def reload() -> float:
        async with _reload_signals(host) as next_one, asyncio.timeout(60):
            reload = asyncio.create_task(asyncio.to_thread(host.lab.reload))
            reloaded = await next_one()
            with closing(KernelRules(host.lab)) as kernel:
                seen = await asyncio.to_thread(kernel.wait_for, standing)
            await reload
        return max(seen.values()) - reloaded

    return asyncio.run(reload())


def run() -> list[Row]:
    """firewalld alone, and once with interim bans."""
    with Host() as host:
        host.daemon.following()
        bridged = _bridged(host)
    with Host(interim=False) as host:
        host.daemon.following()
        alone = _singles(host, 18)
        reloads = _reloads(host)
        adopted, restored = _restarts(host)
        _ban(host, _addresses(40, _MANY - _SOME))
        among = _singles(host, 19)
    multiple = median(among) / median(alone)
    ratios = [ours / bare for ours, bare in zip(reloads.back, reloads.bare, strict=True)]
    newcomers = reloads.newcomers
    return [
        Row("a new ban while none stands", _ms(alone), "", _spread_ms(alone)),
        Row(f"a new ban while {_MANY:,} stand", _ms(among), "", _spread_ms(among)),
        Row("    as a multiple", f"{multiple:.2f}", "<= 4"),
        Row(f"reload with {_SOME} bans: the first one back", _ms(reloads.first), "<= 100 ms",
            _spread_ms(reloads.first)),
        Row("    a new attacker meanwhile, p50", _ms(newcomers), "<= 50 ms",
            _spread_ms(newcomers)),
        Row("                             worst", f"{max(newcomers) * 1000:.1f} ms", "<= 50 ms"),
        Row("    all back", f"{median(reloads.back):.2f} s", "", spread(reloads.back, "s")),
        Row("    bare addRichRule calls for them", f"{median(reloads.bare):.2f} s", "",
            spread(reloads.bare, "s")),
        Row("    all back / bare calls", f"{median(ratios):.2f}", "<= 1.3", spread(ratios, "")),
        Row("    all kept out again by interim bans", f"{bridged * 1000:.1f} ms"),
        Row(f"restart with {_SOME} bans in the kernel", f"{adopted:.2f} s", "",
            "from the start of the process to all in force"),
        Row("    with none of them left there", f"{restored:.2f} s", "", "the same"),
    ]  # fmt: skip


def _ms(seconds: list[float]) -> str:
    return f"{median(seconds) * 1000:.1f} ms"


def _spread_ms(seconds: list[float]) -> str:
    return spread([one * 1000 for one in seconds], "ms", 1)

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

from mailbanned.firewall import dbus
from mailbanned.firewall.dbus import FirewalldApi, Signal, SystemBus
from tests.bench.bare import add_rules
from tests.bench.host import Host, KernelRules
from tests.bench.table import Row, measured, median, spread
from tests.running import ssh

_SINGLES = 25
_NEWCOMERS = 12


@dataclass(frozen=True, slots=True)
class Counts:
    """How many bans stand beside a new one, how many come back after a reload; how many reloads."""

    many: int
    some: int
    rounds: int


_LONG, _SHORT = Counts(2_000, 500, 3), Counts(500, 150, 3)


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

    bus = SystemBus(receive, lambda _: None, 10.0)
    await bus.open(host.lab.bus_address)
    await FirewalldApi(bus).subscribe(f"type='signal',interface='{dbus.NAME}',member='Reloaded'")
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


def _reloads(host: Host, some: int, rounds: int) -> Reloads:
    """Bare calls and a reload in turn, each beginning without rules."""
    into = Reloads()
    standing = _addresses(20, some)
    for round_ in range(rounds):
        host.unban_all()
        into.bare.append(asyncio.run(add_rules(host.lab.bus_address, standing, 1)))
        _ban(host, standing)
        asyncio.run(_reload(host, standing, 30 + round_, into))
    return into


def _restarts(host: Host, some: int) -> tuple[float, float]:
    """Seconds from the start of a daemon to all its bans: in the kernel all along, and gone."""
    host.unban_all()
    standing = _addresses(20, some)
    _ban(host, standing)
    host.daemon.stop()
    began = time.monotonic()
    host.daemon.start()
    host.daemon.wait(
        lambda: host.daemon.status()["firewall"]["bans_in_force"] == some, "they are adopted"
    )
    adopted = time.monotonic() - began
    host.daemon.stop()
    host.lab.reload()
    with closing(KernelRules(host.lab)) as kernel:
        began = time.monotonic()
        host.daemon.start()
        restored = max(kernel.wait_for(standing).values()) - began
    return adopted, restored


def _bridged(host: Host, some: int) -> float:
    """Seconds from a reload to the moment when interim bans keep all bans out again."""
    standing = _addresses(20, some)
    _ban(host, standing)
    host.daemon.wait(
        lambda: host.daemon.status()["firewall"]["bans_in_force"] == some, "all are in force", 60
    )
    host.daemon.stop()
    host.lab.host.exec("nft", "delete", "table", "inet", "mailbanned")  # as after some minutes
    host.daemon.start()
    host.daemon.wait(
        lambda: host.daemon.status()["firewall"]["bans_in_force"] == some, "they are adopted"
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


def run(short: bool = False) -> list[Row]:
    """firewalld alone, and once with interim bans."""
    counts = _SHORT if short else _LONG
    with Host() as host:
        host.daemon.following()
        bridged = _bridged(host, counts.some)
    with Host(interim=False) as host:
        host.daemon.following()
        alone = _singles(host, 18)
        reloads = _reloads(host, counts.some, counts.rounds)
        adopted, restored = _restarts(host, counts.some)
        _ban(host, _addresses(40, counts.many - counts.some))
        among = _singles(host, 19)
    multiple = median(among) / median(alone)
    reload, restart = f"reload with {counts.some} bans", f"restart with {counts.some} bans"
    return [
        _ms("alone", "a new ban while none stands", alone),
        _ms("among", f"a new ban while {counts.many:,} stand", among),
        measured("multiple", "    as a multiple", multiple, "", "<= 4"),
        _ms("reload.first", f"{reload}: the first one back", reloads.first, "<= 100 ms"),
        *_after_reload(reload, reloads),
        measured(
            "reload.interim", f"{reload}: all kept out again by interim bans", bridged * 1000, "ms"
        ),
        measured(
            "restart.adopted",
            f"{restart} in the kernel",
            adopted,
            "s",
            "",
            "from the start of the process to all in force",
        ),
        measured(
            "restart.restored", "    with none of them left there", restored, "s", "", "the same"
        ),
    ]


def _after_reload(reload: str, reloads: Reloads) -> list[Row]:
    ratios = [ours / bare for ours, bare in zip(reloads.back, reloads.bare, strict=True)]
    newcomer, worst = f"{reload}: a new attacker meanwhile", max(reloads.newcomers) * 1000
    return [
        _ms("reload.newcomer.p50", f"{newcomer}, p50", reloads.newcomers, "<= 50 ms"),
        measured("reload.newcomer.worst", f"{newcomer}, worst", worst, "ms", "<= 50 ms"),
        _seconds("reload.back", f"{reload}: all back", reloads.back),
        _seconds("reload.bare", "    bare addRichRule calls for them", reloads.bare),
        measured(
            "reload.ratio",
            "    all back / bare calls",
            median(ratios),
            "",
            "<= 1.3",
            spread(ratios, ""),
        ),
    ]


def _seconds(key: str, what: str, seconds: list[float]) -> Row:
    return measured(key, what, median(seconds), "s", "", spread(seconds, "s", 3))


def _ms(key: str, what: str, seconds: list[float], aim: str = "") -> Row:
    took = [second * 1000 for second in seconds]
    return measured(key, what, median(took), "ms", aim, spread(took, "ms", 1))

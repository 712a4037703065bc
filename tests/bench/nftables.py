"""Our own nftables table under the real enforcer: a wave, a new ban among many, a restart.

The event loop runs in a thread that has entered a network namespace of its own, so that `nft` is
started as the daemon starts it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from mailbanned.clock import SystemClock
from mailbanned.firewall import Enforcer, Nftables
from mailbanned.model import Subject
from tests.bench.table import Row, median, spread
from tests.firewall.support import running, shows
from tests.real.netns import run as run_program
from tests.waiting import until

_WAVE = 1_000
_MANY = 20_000
_ROUNDS = 5
_SINGLES = 40
_CLONE_NEWNET = 0x40000000

T = TypeVar("T")


class Measured:
    """An enforcer over nftables, and when each ban came into force."""

    def __init__(self, standing: Iterable[Subject] = ()) -> None:
        self.came: dict[Subject, float] = {}
        end = time.time() + 86400
        self.enforcer = Enforcer(
            Nftables(),
            SystemClock(),
            cut=None,
            in_force=self.came.__setitem__,
            until=lambda _subject: end,
        )
        self.enforcer.restore(standing)

    async def all_in_force(self, count: int) -> float:
        """Waits until so many are in force; the time at which the last one was."""
        await until(lambda: len(self.came) >= count, f"{count} bans in force", 60.0)
        return max(self.came.values(), default=0.0)

    async def ban(self, subjects: list[Subject]) -> float:
        """Bans them; the seconds until the last one was in force."""
        began = time.monotonic()
        count = len(self.came) + len(subjects)
        for subject in subjects:
            self.enforcer.want(subject)
        return await self.all_in_force(count) - began


def _subjects(net: int, count: int) -> list[Subject]:
    return [Subject(f"198.{net}.{n // 250}.{n % 250 + 1}/32") for n in range(count)]


async def _waves() -> list[float]:
    took = []
    measured = Measured()
    async with running(measured.enforcer):
        for round_ in range(_ROUNDS):
            took.append(await measured.ban(_subjects(20 + round_, _WAVE)))
    return took


async def _restore(count: int) -> tuple[list[float], list[float]]:
    """Seconds to restore so many into an empty kernel, and to take them over from a full one."""
    put: list[float] = []
    found: list[float] = []
    for _ in range(_ROUNDS):
        _clear()
        for times in (put, found):
            measured = Measured(_subjects(40, count))
            began = time.monotonic()
            async with running(measured.enforcer):
                times.append(await measured.all_in_force(count) - began)
    return put, found


async def _singles(standing: int) -> list[float]:
    """Seconds for new bans, one at a time, while so many stand."""
    measured = Measured(_subjects(40, standing))
    took = []
    async with running(measured.enforcer):
        await measured.all_in_force(standing)
        await until(shows(measured.enforcer, "up"), "the firewall is up")
        for subject in _subjects(30, _SINGLES):
            took.append(await measured.ban([subject]))
            await asyncio.sleep(0.01)
    return took


async def _audits(standing: int) -> list[float]:
    """The longest pauses of the event loop while so many are compared with the kernel."""
    measured = Measured(_subjects(40, standing))
    async with running(measured.enforcer):
        await measured.all_in_force(standing)
    firewall = Nftables()
    stalls = []
    for _ in range(_ROUNDS):
        listing = asyncio.create_task(firewall.listed())
        worst = 0.0
        while not listing.done():
            before = time.monotonic()
            await asyncio.sleep(0.001)
            worst = max(worst, time.monotonic() - before)
        stalls.append(worst)
    return stalls


def _clear() -> None:
    run_program("nft", "delete", "table", "inet", "mailbanned", check=False)


def _inside(work: Callable[[], Coroutine[None, None, T]]) -> T:
    """What the work returns, done in a fresh network namespace."""
    name = f"mbb{os.getpid()}"
    run_program("ip", "netns", "add", name)

    def enter() -> T:
        with Path("/run/netns", name).open() as handle:
            if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter {name}")
        return asyncio.run(work())

    try:
        with ThreadPoolExecutor(1) as threads:  # a thread enters for good, so it is spent on it
            return threads.submit(enter).result()
    finally:
        run_program("ip", "netns", "del", name)


def run() -> list[Row]:
    """All figures, each of them the median of several."""
    waves = _inside(_waves)
    alone, among = _inside(lambda: _singles(0)), _inside(lambda: _singles(_MANY))
    put, found = _inside(lambda: _restore(_MANY))
    stalls = _inside(lambda: _audits(_MANY))
    ratio = median(among) / median(alone)
    return [
        Row(f"wave of {_WAVE:,}, last one in force", f"{median(waves):.3f} s", "<= 0.25 s",
            spread(waves, "s", 3)),
        Row("a new ban while none stands", _ms(alone), "", _spread_ms(alone)),
        Row(f"a new ban while {_MANY:,} stand", _ms(among), "", _spread_ms(among)),
        Row("    as a multiple", f"{ratio:.2f}", "<= 2"),
        Row(f"{_MANY:,} restored into an empty kernel", f"{median(put):.2f} s", "<= 2 s",
            spread(put, "s")),
        Row(f"{_MANY:,} found in force again", f"{median(found):.2f} s", "<= 2 s",
            spread(found, "s")),
        Row("event loop held up by an audit of these", _ms(stalls), "", _spread_ms(stalls)),
    ]  # fmt: skip


def _ms(seconds: list[float]) -> str:
    return f"{median(seconds) * 1000:.1f} ms"


def _spread_ms(seconds: list[float]) -> str:
    return spread([one * 1000 for one in seconds], "ms", 1)

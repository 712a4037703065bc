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

from mailbanned.address import Subject
from mailbanned.clock import SystemClock
from mailbanned.firewall import Enforcer, Nftables
from tests.bench.table import Row, measured, median, spread
from tests.firewall.support import running, shows
from tests.real.netns import run as run_program
from tests.waiting import until

_WAVE = 1_000
_MANY = 20_000
_ROUNDS, _SHORT_ROUNDS = 5, 1
_SINGLES = 40
_CLONE_NEWNET = 0x40000000

T = TypeVar("T")


class Enforced:
    """An enforcer over nftables, and when each ban came into force."""

    def __init__(self, standing: Iterable[Subject] = ()) -> None:
        self.came: dict[Subject, float] = {}
        end = time.time() + 86400
        self.enforcer = Enforcer(
            Nftables(),
            SystemClock(),
            cut=None,
            on_in_force=lambda report: self.came.update({report.subject: report.dropped_since}),
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


async def _waves(rounds: int) -> list[float]:
    took = []
    enforced = Enforced()
    async with running(enforced.enforcer):
        for round_ in range(rounds):
            took.append(await enforced.ban(_subjects(20 + round_, _WAVE)))
    return took


async def _restore(count: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds to restore so many into an empty kernel, and to take them over from a full one."""
    put: list[float] = []
    found: list[float] = []
    for _ in range(rounds):
        _clear()
        for times in (put, found):
            enforced = Enforced(_subjects(40, count))
            began = time.monotonic()
            async with running(enforced.enforcer):
                times.append(await enforced.all_in_force(count) - began)
    return put, found


async def _singles(standing: int) -> list[float]:
    """Seconds for new bans, one at a time, while so many stand."""
    enforced = Enforced(_subjects(40, standing))
    took = []
    async with running(enforced.enforcer):
        await enforced.all_in_force(standing)
        await until(shows(enforced.enforcer, "up"), "the firewall is up")
        for subject in _subjects(30, _SINGLES):
            took.append(await enforced.ban([subject]))
            await asyncio.sleep(0.01)
    return took


async def _audits(standing: int, rounds: int) -> list[float]:
    """The longest pauses of the event loop while so many are compared with the kernel."""
    enforced = Enforced(_subjects(40, standing))
    async with running(enforced.enforcer):
        await enforced.all_in_force(standing)
    firewall = Nftables()
    stalls = []
    for _ in range(rounds):
        listing = asyncio.create_task(firewall.list_bans())
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


def run(short: bool = False) -> list[Row]:
    """All figures, each of them the median of several."""
    rounds = _SHORT_ROUNDS if short else _ROUNDS
    waves = _inside(lambda: _waves(rounds))
    alone, among = _inside(lambda: _singles(0)), _inside(lambda: _singles(_MANY))
    put, found = _inside(lambda: _restore(_MANY, rounds))
    stalls = _inside(lambda: _audits(_MANY, rounds))
    ratio = median(among) / median(alone)
    return [
        _seconds("wave", f"wave of {_WAVE:,}, last one in force", waves, "<= 0.25 s"),
        _ms("alone", "a new ban while none stands", alone),
        _ms("among", f"a new ban while {_MANY:,} stand", among),
        measured("multiple", "    as a multiple", ratio, "", "<= 2"),
        _seconds("restored", f"{_MANY:,} restored into an empty kernel", put, "<= 2 s"),
        _seconds("found", f"{_MANY:,} found in force again", found, "<= 2 s"),
        _ms("audit", "event loop held up by an audit of these", stalls),
    ]


def _seconds(key: str, what: str, seconds: list[float], aim: str) -> Row:
    return measured(key, what, median(seconds), "s", aim, spread(seconds, "s", 3))


def _ms(key: str, what: str, seconds: list[float]) -> Row:
    took = [second * 1000 for second in seconds]
    return measured(key, what, median(took), "ms", "", spread(took, "ms", 1))

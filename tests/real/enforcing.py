"""Our side of the lab: the backend and the enforcer as they run on its host, and patience."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from mailbanned.address import Subject
from mailbanned.clock import SystemClock
from mailbanned.firewall import Enforcer, Firewall, Firewalld, Verdict
from mailbanned.firewall.zones import outward_interfaces
from tests.firewall.support import running
from tests.real.lab import Lab
from tests.waiting import HANG_S


def backend(lab: Lab, zone: str = "", verdict: Verdict = "drop") -> Firewalld:
    """The backend of a daemon on the lab's host."""
    return Firewalld(
        zone,
        verdict,
        bus_address=lab.bus_address,
        timeout=HANG_S,
        interfaces=lambda: outward_interfaces(lab.proc_net),
    )


@asynccontextmanager
async def connected(
    lab: Lab, zone: str = "", verdict: Verdict = "drop"
) -> AsyncIterator[Firewalld]:
    """The backend, connected until the end of the block."""
    firewall = backend(lab, zone, verdict)
    await firewall.connect()
    try:
        yield firewall
    finally:
        await firewall.close()


#: Longer than a test waits: what an enforcer must notice by itself, no audit shows it.
NEVER_S = 100 * HANG_S


@asynccontextmanager
async def enforced(
    lab: Lab,
    *subjects: str,
    zone: str = "",
    verdict: Verdict = "drop",
    audit: float = NEVER_S,
) -> AsyncIterator[Enforcer]:
    """An enforcer at work on firewalld until the end of the block, with these bans restored."""
    async with at_work(backend(lab, zone, verdict), subjects, audit) as enforcer:
        yield enforcer


@asynccontextmanager
async def at_work(
    firewall: Firewall, subjects: Iterable[str], audit: float
) -> AsyncIterator[Enforcer]:
    """An enforcer at work on any firewall."""
    enforcer = Enforcer(
        firewall,
        SystemClock(),
        cut=None,
        on_in_force=lambda _report: None,
        audit=audit,
        pauses=(0.1, 0.4),
    )
    enforcer.restore(Subject(subject) for subject in subjects)
    async with running(enforcer):
        yield enforcer


async def settles(condition: Callable[[], object], what: str) -> None:
    """Waits until a condition that may block is true, while the enforcer goes on."""
    end = asyncio.get_running_loop().time() + HANG_S
    while not await asyncio.to_thread(condition):
        assert asyncio.get_running_loop().time() < end, f"not within {HANG_S:g} s: {what}"
        await asyncio.sleep(0.02)

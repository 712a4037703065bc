"""Records are read as soon as they are in the journal, not when journald tells of them."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import pytest

from tests.real.journald import Journald
from tests.real.test_journal import Host, host, journald
from tests.sources.rig import until

pytestmark = pytest.mark.real

__all__ = ["host", "journald"]

TIMES = 9


async def plain(journald: Journald, seen: dict[str, float]) -> None:
    """Notes when a journalctl that nobody wakes shows each message."""
    child = await asyncio.create_subprocess_exec(
        *journald.journalctl, "--follow", "--lines=0", "--output=cat",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        async for line in child.stdout:
            seen[line.decode().strip()] = time.monotonic()
    finally:
        child.kill()
        await child.wait()


async def test_sooner_than_journald_tells(host: Host) -> None:
    """We have a record in less than half the time that another reader waits, and say how old it is.

    Reaction times begin when journald got the record: what the way to us took is in them.
    """
    theirs: dict[str, float] = {}
    reader = asyncio.create_task(plain(host.journald, theirs))
    host.log("sshd", "the first one")
    host.start()
    async with host.sources.reading():
        await host.have_all()
        while "ready" not in theirs:  # it begins at the end, wherever that is then
            host.journald.log("sshd-other", "ready")
            await asyncio.sleep(0.05)
        delays: list[tuple[float, float]] = []
        for number in range(TIMES):
            before = time.monotonic()
            host.log("sshd", f"attempt {number}")
            written = time.monotonic()
            await host.have_all()
            ours = time.monotonic()
            block = host.sources.blocks["sshd"][-1]
            assert block.live
            assert before <= block.ticks < ours
            await until(lambda n=number: f"attempt {n}" in theirs)  # type: ignore[misc]
            delays.append((ours - written, theirs[f"attempt {number}"] - written))
            await asyncio.sleep(0.3 + 0.037 * number)  # journald's timer is to begin anew
    reader.cancel()
    await asyncio.wait([reader])
    assert median(ours for ours, _ in delays) < median(other for _, other in delays) / 2

"""Records are read as soon as they are in the journal, not when journald tells of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from tests.real.enforcing import settles
from tests.real.journald import Journald
from tests.real.netns import wait_until
from tests.real.test_journal import Host, host, journald
from tests.sources.rig import until

pytestmark = pytest.mark.real

__all__ = ["host", "journald"]

#: On a machine so slow that journald has always told before we look, nothing can be shown.
TIMES = 9


@asynccontextmanager
async def plain(journald: Journald) -> AsyncIterator[set[str]]:
    """What a journalctl that nobody wakes has shown so far."""
    seen: set[str] = set()
    child = await asyncio.create_subprocess_exec(
        *journald.journalctl, "--follow", "--lines=0", "--output=cat",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def note() -> None:
        assert child.stdout is not None
        async for line in child.stdout:
            seen.add(line.decode().strip())

    reader = asyncio.create_task(note())
    try:
        yield seen
    finally:
        child.kill()
        await child.wait()
        await reader


async def test_without_a_word_of_journald(host: Host) -> None:
    """A record that is in the journal is read while journald stands still, before it has woken
    another reader; and we say how old it is.

    Reaction times begin when journald got the record: what the way to us took is in them.
    """
    host.log("sshd", "the first one")
    host.start()
    async with host.sources.reading(), plain(host.journald) as theirs:
        await host.have_all()

        def ready() -> bool:  # it begins at the end, wherever that is then
            host.journald.log("sshd-other", "ready")
            return "ready" in theirs

        await settles(ready, "the other reader has begun")
        for number in range(TIMES):
            before = time.monotonic()
            host.log("sshd", f"attempt {number}")
            wait_until(partial(host.journald.shows, f"attempt {number}"), "it is in the journal")
            with host.journald.paused():
                await host.have_all()
                untold = f"attempt {number}" not in theirs
            block = host.sources.blocks["sshd"][-1]
            assert block.live
            assert before <= block.read_monotonic < time.monotonic()
            await until(lambda n=number: f"attempt {n}" in theirs)  # type: ignore[misc]
            if untold:
                return

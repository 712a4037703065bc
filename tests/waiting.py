"""Waiting, in tests that do not know how fast the machine is."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Seconds after which a wait is given up. Only what hangs takes that long, on the slowest machine.
HANG_S = 120.0
#: More turns of the loop than anything sensible needs without waiting for a timer.
_SPINNING = 100_000


async def until(condition: Callable[[], object], what: str = "", limit: float = HANG_S) -> None:
    """Waits until the condition is true. Raises AssertionError, saying what was waited for."""
    end = asyncio.get_running_loop().time() + limit
    while not condition():
        assert asyncio.get_running_loop().time() < end, f"not within {limit:g} s: {what}"
        await asyncio.sleep(0.002)


def started_in_time(started: Callable[[], object]) -> Iterator[float]:
    """Longer and longer timeouts for a program, until one has left it the time to start."""
    for timeout in (0.2, 2.0, 20.0, HANG_S):
        yield timeout
        if started():
            return
    raise AssertionError("the program has never started")


@contextmanager
def skipped_time() -> Iterator[None]:
    """Has the running loop wait for no timer: when nothing else is to do, the next one is due.

    The loop's time then depends only on what its tasks do, so a test may compare times exactly, and
    an hour in which nothing happens proves in no time that nothing will. It is for what goes on in
    this loop alone, its own sockets included; threads and other processes would be overtaken. What
    spins without a pause makes time pass, too, so that it reaches the end of its test.
    """
    loop: Any = asyncio.get_running_loop()
    selector, select = loop._selector, loop._selector.select
    now, turns = loop.time(), 0

    def skip(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        nonlocal now, turns
        ready: list[tuple[selectors.SelectorKey, int]] = select(0)
        turns += 1
        if turns > _SPINNING:
            now += 0.001
        elif not ready and timeout is None:
            ready = select(None)
        elif not ready and timeout:
            now, turns = now + timeout, 0
        return ready

    selector.select, loop.time = skip, lambda: now
    try:
        yield
    finally:
        del selector.select, loop.time

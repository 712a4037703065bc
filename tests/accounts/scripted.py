"""A clock and an account database for tests: both do only what they are told."""

from __future__ import annotations

import asyncio

from mailbanned.accounts import AccountsDown
from tests.waiting import HANG_S


class ManualClock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class ScriptedLookup:
    """A database in memory.

    asked: every name that was asked for, in order.
    trouble: the reason for which queries fail, None while they work.
    hold: while true, every query puts a future into `held` and waits until the test resolves it.
    """

    name = "scripted"

    def __init__(self, *accounts: str) -> None:
        self.accounts = accounts
        self.asked: list[str] = []
        self.trouble: str | None = None
        self.hold = False
        self.held: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()
        self.running = 0
        self.closed = False

    async def exists(self, user: str) -> bool | None:
        """Like a database whose table knows ASCII only."""
        self.asked.append(user)
        self.running += 1
        try:
            if self.hold:
                gate = asyncio.get_running_loop().create_future()
                self.held.put_nowait(gate)
                await gate
        finally:
            self.running -= 1
        if self.trouble is not None:
            raise AccountsDown(self.trouble)
        return user in self.accounts if user.isascii() else None

    async def close(self) -> None:
        self.closed = True

    async def next_held(self, count: int) -> list[asyncio.Future[None]]:
        """Waits until `count` more queries are held."""
        async with asyncio.timeout(HANG_S):
            return [await self.held.get() for _ in range(count)]


def release(gates: list[asyncio.Future[None]]) -> None:
    """Lets held queries go on."""
    for gate in gates:
        gate.set_result(None)

"""What several tests of the firewall need: a clock, and a firewall that obeys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from mailbanned.address import Subject
from mailbanned.firewall import Enforcer, FirewallDown, FirewallRefused, Listed
from tests.waiting import HANG_S

#: Seconds between audits, for those that would hide that something was missed.
NEVER = 10 * HANG_S


def subjects(count: int, net: int = 0) -> list[Subject]:
    """Different subjects that may be banned; another `net` gives others."""
    return [Subject(f"203.{net}.{n // 250}.{n % 250 + 1}/32") for n in range(count)]


@asynccontextmanager
async def running(enforcer: Enforcer) -> AsyncIterator[None]:
    """The enforcer at work until the end of the block."""
    task = asyncio.create_task(enforcer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


class ManualClock:
    """A clock that moves only when the test moves it."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class ScriptedFirewall:
    """A firewall whose rules, speed and moods the test decides.

    rules: what is in force; partial: what is only partly there; ending: what it will forget soon.
    until: the ends that it was given.
    down: if not empty, every call raises FirewallDown with this text.
    refused: subjects that are refused for ever.
    started, done: the changes asked for and carried out, "+subject" or "-subject".
    """

    name = "scripted"
    zone = "there"
    max_parallel = 4
    max_parallel_restores = 3

    def __init__(self, rules: Iterable[Subject] = ()) -> None:
        self.rules = set(rules)
        self.partial: set[Subject] = set()
        self.ending: set[Subject] = set()
        self.until: dict[Subject, float | None] = {}
        self.down = ""
        self.refused: set[Subject] = set()
        self.started: list[str] = []
        self.done: list[str] = []
        self.connects = 0
        self.listings = 0
        self.closed = False
        self.in_flight = 0
        self.most_in_flight = 0
        self.before_listing_returns: Callable[[], None] = lambda: None
        self._turns: asyncio.Semaphore | None = None
        self._losses: asyncio.Queue[str] = asyncio.Queue()

    def hold(self) -> None:
        """From now on every change waits for `release`."""
        self._turns = asyncio.Semaphore(0)

    def release(self, count: int = 1) -> None:
        """Lets `count` changes through, in the order in which they were asked for."""
        assert self._turns is not None
        for _ in range(count):
            self._turns.release()

    def flow(self) -> None:
        """Ends `hold`."""
        self.release(10_000)
        self._turns = None

    def lose(self, reason: str = "the rules are gone") -> None:
        """Drops all rules and says so."""
        self.rules.clear()
        self._losses.put_nowait(reason)

    async def connect(self) -> None:
        self.connects += 1
        self._check()

    async def list_bans(self) -> Listed:
        self._check()
        listed = Listed(set(self.rules), set(self.partial), set(self.ending))
        self.listings += 1
        self.before_listing_returns()
        for _ in range(3):  # others hear of what happened in between
            await asyncio.sleep(0)
        return listed

    async def add(self, subject: Subject, until: float | None = None) -> None:
        await self._turn("+", subject)
        if subject in self.refused:
            raise FirewallRefused("never")
        self.until[subject] = until
        self.rules.add(subject)
        self.partial.discard(subject)
        self.ending.discard(subject)
        self.done.append(f"+{subject}")

    async def remove(self, subject: Subject) -> None:
        await self._turn("-", subject)
        self.rules.discard(subject)
        self.partial.discard(subject)
        self.done.append(f"-{subject}")

    async def wait_until_lost(self) -> str:
        return await self._losses.get()

    async def close(self) -> None:
        self.closed = True

    async def _turn(self, sign: str, subject: Subject) -> None:
        self.started.append(f"{sign}{subject}")
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            if self._turns is not None:
                await self._turns.acquire()
            self._check()
        finally:
            self.in_flight -= 1

    def _check(self) -> None:
        if self.down:
            raise FirewallDown(self.down)


def make_enforcer(
    firewall: ScriptedFirewall,
    reported: list[Subject],
    audit: float = NEVER,
    pauses: tuple[float, float] = (0.01, 0.02),
) -> Enforcer:
    """An enforcer that cuts no connections, notes what came into force, and pauses briefly."""
    return Enforcer(
        firewall,
        ManualClock(),
        cut=None,
        on_in_force=lambda report: reported.append(report.subject),
        audit=audit,
        pauses=pauses,
    )


def shows(enforcer: Enforcer, state: str) -> Callable[[], bool]:
    """The condition that the enforcer's state is "up", "down" or "connecting"."""
    return lambda: enforcer.state().state == state

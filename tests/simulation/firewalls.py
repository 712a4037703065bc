"""A simulated firewall and kernel with interim bans: calls take effect when the run says so.

A call may be performed late, fail before or after it took effect, go unanswered, or happen although
its caller was cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil, inf
from typing import Any, TypeVar

from mailbanned.address import Subject
from mailbanned.firewall import FirewallDown, FirewallRefused, Listed
from tests.simulation.scheduler import SimulatedClock, SimulatedLoop

T = TypeVar("T")

#: Seconds after which a call without an answer fails.
_TIMEOUT_S = 25.0
#: Seconds after the end of a ban at which the firewall forgets it.
_SLACK_S = 300.0


class Host:
    """What drops packets on the simulated host: the firewall's rules and the interim bans.

    mood: how the work that happens next ends: "" well, "before" or "after" it took effect it fails.
    refused: subjects that no rule can stop.
    uncut: whose packets came to be dropped, while its connections were not cut since.
    orderly: no rule is ever forgotten, and what was given up does not happen later; so nothing has
        to be found by an audit.
    """

    def __init__(
        self,
        loop: SimulatedLoop,
        clock: SimulatedClock,
        refused: set[Subject],
        note: Callable[[str], None],
        *,
        orderly: bool,
    ) -> None:
        self.loop = loop
        self.clock = clock
        self.mood = ""
        self.refused = refused
        self.uncut: set[Subject] = set()
        self.orderly = orderly
        self._note = note
        self.rules = Rules(self)
        self.kernel = Kernel(self)

    def drops(self, subject: Subject) -> bool:
        """Whether packets of the subject are dropped."""
        return subject in self.rules.ends or self.kernel.has(subject)

    def begins_to_drop(self, subject: Subject) -> None:
        """To be called before a rule is put."""
        if not self.drops(subject):
            self.uncut.add(subject)

    async def request(self, label: str, perform: Callable[[], T], *, ends: bool = False) -> T:
        """A call to a program that takes its time. ends: with the wait for it, it ends, too."""
        wait = self.loop.pause if ends or self.orderly else self.loop.request
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                answer: Any = await wait(label, lambda: self._happen(label, perform))
        except TimeoutError:
            raise FirewallDown(f"{label} had no answer") from None
        result: T = answer
        return result

    def _happen(self, label: str, perform: Callable[[], T]) -> T:
        self._note(f"- {label}")
        if self.mood == "before":
            raise FirewallDown("the call failed")
        result = perform()
        if self.mood == "after":
            raise FirewallDown("the answer was lost")
        return result


class Rules:
    """The rules of the firewall, and those whose loss the enforcer could not have noticed.

    ends: when a rule is forgotten, by subject. partial: rules of which a part is left.
    up: whether the firewall answers. signal_due: a loss is going to be made known.
    excused: those whose rule was lost unnoticed; True once the enforcer must have noticed.
    """

    def __init__(self, host: Host) -> None:
        self.ends: dict[Subject, float] = {}
        self.partial: set[Subject] = set()
        self.up = True
        self.signal_due = False
        self.excused: dict[Subject, bool] = {}
        self.connection: Connection | None = None
        self._host = host

    def put(self, subject: Subject, until: float | None) -> None:
        """Bans, for a while."""
        self._host.begins_to_drop(subject)
        forgets = until is not None and not self._host.orderly
        end = inf if until is None or not forgets else max(until, self._host.clock.now()) + _SLACK_S
        self.ends[subject] = end
        self.partial.discard(subject)
        self.excused.pop(subject, None)

    def take(self, subject: Subject) -> None:
        """Lifts a ban."""
        self.ends.pop(subject, None)
        self.partial.discard(subject)
        self.excused.pop(subject, None)

    def lose(self, *subjects: Subject) -> None:
        """Rules vanish; the enforcer is excused until it hears of that, or compares."""
        for subject in subjects:
            del self.ends[subject]
            self.excused[subject] = False

    def forget(self) -> None:
        """Drops the rules whose time is over."""
        now = self._host.clock.now()
        self.lose(*[subject for subject, end in self.ends.items() if end <= now])

    def list_bans(self) -> Listed:
        """What there is."""
        soon = self._host.clock.now() + _SLACK_S / 2
        ending = {subject for subject, end in self.ends.items() if end < soon}
        return Listed(set(self.ends), set(self.partial), ending)

    def signal(self) -> bool:
        """Makes a loss known, if there is one to make known."""
        due, self.signal_due = self.signal_due, False
        if due and self.connection is not None:
            self.connection.losses.set()
            self.notice(set(self.excused))
        return due

    def notice(self, subjects: set[Subject]) -> None:
        """From the next rest on the enforcer must know that these rules are gone."""
        self.excused |= dict.fromkeys(subjects & self.excused.keys(), True)

    def rest(self) -> None:
        """All tasks wait: who must have noticed is excused no longer."""
        self.excused = {subject: False for subject, due in self.excused.items() if not due}


class Connection:
    """The firewall as an enforcer has it: the backend.

    asking: how many calls of `connect` and `listed` are under way.
    in_flight: the subjects of the changes that are under way. wrong: called for a broken promise.
    flushing: whether the enforcer has ended, and all bans are being removed.
    """

    name = "simulated"
    zone = "there"
    max_parallel = 4
    max_parallel_restores = 3

    def __init__(self, host: Host, wrong: Callable[[str], None]) -> None:
        self.asking = 0
        self.in_flight: set[Subject] = set()
        self.losses = asyncio.Event()
        self.closed = self.flushing = False
        self._removals = 0
        self._touched: set[Subject] = set()
        self._host = host
        self._rules = host.rules
        self._rules.connection = self
        self._wrong = wrong

    async def connect(self) -> None:
        self.closed = False
        await self._ask("connect", lambda: None)

    async def list_bans(self) -> Listed:
        lost = set(self._rules.excused)
        self._touched = set(self.in_flight)
        listed = await self._ask("list", self._rules.list_bans)
        self._rules.notice(lost - self._touched)
        return listed

    async def add(self, subject: Subject, until: float | None = None) -> None:
        def put() -> None:
            if subject in self._host.refused:
                raise FirewallRefused("it is refused")
            self._rules.put(subject, until)

        await self._change(f"put {subject}", subject, put)

    async def remove(self, subject: Subject) -> None:
        self._removals += 1
        if self._removals > self.max_parallel_restores and not self.flushing:
            self._wrong("removals left no slot for a new ban")
        try:
            await self._change(f"take {subject}", subject, lambda: self._rules.take(subject))
        finally:
            self._removals -= 1

    async def wait_until_lost(self) -> str:
        await self.losses.wait()
        self.losses.clear()
        return "the rules are gone"

    async def close(self) -> None:
        await self._host.loop.pause("close", lambda: None)
        self.closed = True

    async def _ask(self, label: str, perform: Callable[[], T]) -> T:
        self.asking += 1
        try:
            return await self._call(label, perform)
        finally:
            self.asking -= 1

    async def _change(self, label: str, subject: Subject, perform: Callable[[], None]) -> None:
        if subject in self.in_flight:
            self._wrong(f"two changes at the same time for {subject}")
        self.in_flight.add(subject)
        self._touched.add(subject)
        if len(self.in_flight) > self.max_parallel:
            self._wrong("too many changes at the same time")
        try:
            await self._call(label, perform)
        finally:
            self.in_flight.discard(subject)

    async def _call(self, label: str, perform: Callable[[], T]) -> T:
        if self.closed:
            self._wrong(f"a call after the end: {label}")

        def answer() -> T:
            if not self._rules.up:
                raise FirewallDown("it is down")
            self._rules.forget()
            return perform()

        return await self._host.request(label, answer)


class Kernel:
    """The kernel's interim bans, with their ends.

    doubtful: subjects for which a call failed; what is there for them is not certain.
    expired: what ended by itself since it was put.
    """

    def __init__(self, host: Host) -> None:
        self.ends: dict[Subject, float] = {}
        self.doubtful: set[Subject] = set()
        self.expired: set[Subject] = set()
        self.in_flight = 0
        self.is_listed = False
        self._host = host

    def has(self, subject: Subject) -> bool:
        """Whether packets of the subject are dropped here."""
        self.expire()
        return subject in self.ends

    async def list_bans(self) -> Listed:
        found = await self._call("list interim bans", self._listed)
        self.is_listed = True
        return found

    async def add(
        self, subject: Subject, until: float | None = None, *, replace: bool = False
    ) -> None:
        assert until is not None
        seconds = max(1, ceil(until - self._host.clock.now()))

        def put() -> None:
            if subject in self._host.refused:
                raise FirewallRefused("it is refused")
            self._host.begins_to_drop(subject)
            if replace or not self.has(subject):  # else an older kernel keeps the end
                self.ends[subject] = self._host.clock.now() + seconds
            self.expired.discard(subject)

        await self._change(f"put interim {subject}", subject, put)

    async def remove(self, subject: Subject) -> None:
        def take() -> None:
            if subject in self._host.refused:
                raise FirewallRefused("it is refused")
            self.ends.pop(subject, None)
            self.expired.discard(subject)

        await self._change(f"take interim {subject}", subject, take)

    def _listed(self) -> Listed:
        self.expire()
        return Listed(set(self.ends))

    def expire(self) -> None:
        """Drops the bans whose time is over."""
        now = self._host.clock.now()
        over = [subject for subject, end in self.ends.items() if end <= now]
        for subject in over:
            del self.ends[subject]
            self.expired.add(subject)

    async def _change(self, label: str, subject: Subject, perform: Callable[[], None]) -> None:
        try:
            await self._call(label, perform)
        except (FirewallDown, asyncio.CancelledError):
            self.doubtful.add(subject)
            raise
        self.doubtful.discard(subject)

    async def _call(self, label: str, perform: Callable[[], T]) -> T:
        self.in_flight += 1
        try:
            return await self._host.request(label, perform, ends=True)
        finally:
            self.in_flight -= 1

"""Keeps the banned out while firewalld is still at their rules: interim bans in nftables.

firewalld takes one rule after the other, some milliseconds each, so the last of a hundred attackers
would be let in for a second, and every old ban for as long after a reload. nftables takes hundreds
in one transaction. So a ban that waits for firewalld is put there as well, and ends there by itself
a minute later, or with the ban. As long as firewalld is away, the bans that wait are put again.

Known limits: it only bridges. Without nft, the capability or the kernel's support bans wait for
firewalld alone, which is said once and shown by `state`. If somebody flushes the table, they do so
until they are due to be put again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from math import inf
from typing import Protocol

from mailbanned.address import Subject
from mailbanned.clock import Clock
from mailbanned.firewall.base import FirewallDown, FirewallRefused, Listed
from mailbanned.log import get_logger

_log = get_logger("firewall")

_LIFETIME_S = 60.0
# firewalld needs less than this for a rule, so nobody's interim ban ends while he waits in line.
_EACH_S = 0.1
# The kernel counts whole seconds.
_ROUNDED_S = 1.0
# What goes into one round; a new ban waits for one of them at most.
_ROUND = 500


class InterimBackend(Protocol):
    """Where interim bans are put: what is used of the backend `nftables`."""

    async def list_bans(self) -> Listed:
        """What is there."""
        ...

    async def add(
        self, subject: Subject, until: float | None = None, *, replace: bool = False
    ) -> None:
        """Bans until then; replace: whatever end a ban that may be there has."""
        ...

    async def remove(self, subject: Subject) -> None:
        """Lifts a ban."""
        ...


class Interim:
    """Interim bans.

    until: when the last ban of a subject ends (seconds since the epoch); None is never.
    kept_out: is told whose packets are dropped from now on, with the time in the clock's ticks.
    """

    def __init__(
        self, backend: InterimBackend, clock: Clock, *, until: Callable[[Subject], float | None],
        kept_out: Callable[[Subject, float], None],
    ) -> None:  # fmt: skip
        self._backend = backend
        self._clock = clock
        self._until = until
        self._tell = kept_out
        self._asked: dict[Subject, bool] = {}
        self._wake = asyncio.Event()
        # Until when what was put certainly holds; the oldest first.
        self._ends: dict[Subject, float] = {}
        # After when it has certainly ended, also if a change failed: an older kernel keeps the end
        # of a ban that is there, unless it is taken first.
        self._over: dict[Subject, float] = {}
        self._unknown_until = inf  # anything may be there, of an earlier run
        self._on_the_way: set[Subject] = set()
        self._trouble = ""

    def state(self) -> str:
        """ "ready", or "unable: " and the reason, until it was possible again."""
        return f"unable: {self._trouble}" if self._trouble else "ready"

    def put(self, subjects: Iterable[Subject]) -> None:
        """Keeps them out until firewalld has their rules; the last ones first."""
        now = self._clock.now()
        for subject in subjects:
            stays = self._asked.get(subject, True)  # else it is about to be let in
            if not stays or self._ends.get(subject, 0.0) < now + _LIFETIME_S / 2:
                self._asked[subject] = True
        self._wake.set()

    def is_dropping(self, subject: Subject) -> bool:
        """Whether its packets are dropped."""
        there = self._ends.get(subject, 0.0) > self._clock.now()
        return there and subject not in self._on_the_way

    def take(self, subject: Subject) -> None:
        """Lets a subject in again."""
        put = subject in self._ends or subject in self._asked
        if put or self._may_be_there(subject):
            self._asked[subject] = False
            self._wake.set()

    async def run(self, cut: Callable[[Subject], None]) -> None:
        """Works until cancelled. cut: ends what a subject that is kept out has still open."""
        try:
            listed = await self._backend.list_bans()
        except FirewallDown as error:
            self._fail(error)
            self._unknown_until = self._clock.now() + 2 * _LIFETIME_S
        else:
            self._unknown_until = 0.0
            # Of an earlier run: who is still banned keeps his place, the others are let in. When
            # these bans end is not known, and not whether connections were cut.
            over = self._clock.now() + _LIFETIME_S + _EACH_S * len(listed.complete) + _ROUNDED_S
            self._over = dict.fromkeys(listed.complete, over) | self._over
            self._asked = dict.fromkeys(listed.complete, True) | self._asked
            self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._asked:
                await self._round(cut)

    async def clear(self) -> None:
        """Takes all interim bans; only while `run` does not run."""
        self._asked = dict.fromkeys(self._over, False)
        while self._asked:
            await self._round(lambda _: None)

    async def _round(self, cut: Callable[[Subject], None]) -> None:
        now, ends, asked = self._clock.now(), self._ends, self._asked
        lifetime = _LIFETIME_S + _EACH_S * len(asked)
        changes = []
        for subject, wanted in [asked.popitem() for _ in range(min(_ROUND, len(asked)))]:
            before = ends.pop(subject, 0.0)
            end = min(now + lifetime, self._ends_at(subject)) if wanted else now
            if end > now:
                ends[subject] = end
                self._on_the_way.add(subject)
                changes.append(self._put(subject, end, before, cut))
            elif self._may_be_there(subject):
                changes.append(self._take(subject))
        await asyncio.gather(*changes)
        for times in (ends, self._over):
            while times and next(iter(times.values())) <= now:
                del times[next(iter(times))]

    def _ends_at(self, subject: Subject) -> float:
        until = self._until(subject)
        return inf if until is None else until

    async def _put(
        self, subject: Subject, end: float, before: float, cut: Callable[[Subject], None]
    ) -> None:
        """Puts a ban until its end. before: until when one that was there has held."""
        began, refused = self._clock.now(), False
        try:
            await self._backend.add(subject, end, replace=self._may_be_there(subject))
        except FirewallRefused:  # firewalld refuses it, too, and that is said
            self._ends.pop(subject, None)
            refused = True
        except FirewallDown as error:
            self._ends.pop(subject, None)
            self._fail(error)
        else:
            self._trouble = ""
            self._tell(subject, self._clock.monotonic())
            if before <= self._clock.now():  # else it was kept out all the time
                cut(subject)
        finally:
            self._on_the_way.discard(subject)
            self._over.pop(subject, None)
            if not refused:
                self._over[subject] = end + (self._clock.now() - began) + _ROUNDED_S

    def _may_be_there(self, subject: Subject) -> bool:
        return self._over.get(subject, self._unknown_until) > self._clock.now()

    async def _take(self, subject: Subject) -> None:
        try:
            await self._backend.remove(subject)
        except FirewallDown as error:
            self._fail(error)
            return
        except FirewallRefused:
            pass  # then it never was there
        self._over[subject] = 0.0

    def _fail(self, error: FirewallDown) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            _log.info(f"Bans wait for firewalld alone: {error}")


class NoInterim:
    """Lets everybody wait."""

    def state(self) -> str:
        return "off"

    def put(self, subjects: Iterable[Subject]) -> None:
        pass

    def is_dropping(self, subject: Subject) -> bool:
        return False

    def take(self, subject: Subject) -> None:
        pass

    async def run(self, cut: Callable[[Subject], None]) -> None:
        pass

    async def clear(self) -> None:
        pass

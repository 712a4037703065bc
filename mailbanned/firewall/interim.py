"""Drops the packets of subjects that wait for firewalld: interim bans in nftables.

firewalld takes one rule after another, some milliseconds each, so the last of a hundred attackers
would be let in for a second, and each old ban for as long after a reload. nftables takes hundreds
of bans in one transaction. So a ban that waits for firewalld is added there as well. It ends there
by itself a minute later, or with the ban. While firewalld is down, the bans that wait are renewed.

Known limits: it only bridges the wait. Without nft, the capability or the kernel's support bans
wait for firewalld alone, which is logged once and shown by `state`. If another program flushes the
table, they do so until they are due to be renewed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from typing import Protocol

from mailbanned.address import Subject
from mailbanned.clock import Clock
from mailbanned.firewall.base import FirewallDown, FirewallRefused, Listed
from mailbanned.log import Condition, get_logger

_log = get_logger("firewall")

_LIFETIME_S = 60.0
# firewalld needs less than this for a rule, so no interim ban ends while its subject waits.
_PER_WAITING_BAN_S = 0.1
# The kernel counts whole seconds.
_ROUNDING_S = 1.0
# Number of changes in one round; a new ban waits for one round at most.
_MAX_PER_ROUND = 500


class InterimBackend(Protocol):
    """Holds the interim bans: the part of the backend `nftables` that is used."""

    async def list_bans(self) -> Listed:
        """Returns the bans that are there."""
        ...

    async def add(
        self, subject: Subject, until: float | None = None, *, replace: bool = False
    ) -> None:
        """Bans until then. replace: the ban may be there already, with another end."""
        ...

    async def remove(self, subject: Subject) -> None:
        """Lifts a ban."""
        ...


@dataclass(slots=True)
class _InterimBan:
    """What is known of one subject's interim ban; times are seconds since the epoch.

    drops_until: until when it certainly drops packets; 0 if it is not known to.
    gone_after: when the kernel has certainly forgotten it, whatever failed; None if nothing is
        known of it but what holds for all. An older kernel keeps the end of a ban that is there.
    dropping_since: monotonic time since which it has dropped packets without a gap.
    in_flight: whether it is being added.
    """

    drops_until: float = 0.0
    gone_after: float | None = None
    dropping_since: float | None = None
    in_flight: bool = False


class Interim:
    """Interim bans.

    until: when the last ban of a subject ends (seconds since the epoch); None is never.
    """

    def __init__(
        self, backend: InterimBackend, clock: Clock, *, until: Callable[[Subject], float | None]
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._until = until
        self._requests: dict[Subject, bool] = {}  # True is to be added, False to be removed
        self._wake = asyncio.Event()
        self._bans: dict[Subject, _InterimBan] = {}  # the one changed last is at the end
        self._unknown_until = inf  # until then, any ban of an earlier run may be there
        self._problem = ""
        self._condition = Condition(_log)

    def state(self) -> str:
        """Returns "ready", or "unable: " and the reason, until a ban could be added again."""
        return f"unable: {self._problem}" if self._problem else "ready"

    def add(self, subjects: Iterable[Subject]) -> None:
        """Drops packets of the subjects until firewalld has their rules; the last ones first."""
        now = self._clock.now()
        for subject in subjects:
            ban = self._bans.get(subject)
            is_fresh = ban is not None and ban.drops_until >= now + _LIFETIME_S / 2
            if not is_fresh or not self._requests.get(subject, True):
                self._requests[subject] = True
        self._wake.set()

    def is_dropping(self, subject: Subject) -> bool:
        """Whether an interim ban certainly drops the packets of the subject."""
        ban = self._bans.get(subject)
        return ban is not None and ban.drops_until > self._clock.now() and not ban.in_flight

    def dropping_since(self, subject: Subject) -> float | None:
        """Returns since when (monotonic) an interim ban drops its packets; None if none does."""
        return self._bans[subject].dropping_since if self.is_dropping(subject) else None

    def remove(self, subject: Subject) -> None:
        """Ends the interim ban of a subject."""
        ban = self._bans.get(subject)
        is_known = subject in self._requests or (ban is not None and ban.drops_until > 0)
        if is_known or self._may_be_there(ban):
            self._requests[subject] = False
            self._wake.set()

    async def run(self, cut: Callable[[Subject], None]) -> None:
        """Works until cancelled. cut: ends what a subject still has open once it is dropped."""
        try:
            listed = await self._backend.list_bans()
        except FirewallDown as error:
            self._on_failure(error)
            self._unknown_until = self._clock.now() + 2 * _LIFETIME_S
        else:
            self._unknown_until = 0.0
            self._take_over(listed)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._requests:
                await self._run_round(cut)

    async def clear(self) -> None:
        """Removes all interim bans; only while `run` does not run."""
        self._requests = dict.fromkeys(self._bans, False)
        while self._requests:
            await self._run_round(lambda _: None)

    def _take_over(self, listed: Listed) -> None:
        """Renews bans of an earlier run whose subjects are still banned, and removes the others.

        It is not known when these bans end, nor whether connections were cut.
        """
        longest = _LIFETIME_S + _PER_WAITING_BAN_S * len(listed.complete) + _ROUNDING_S
        gone_after = self._clock.now() + longest
        self._bans = {subject: _InterimBan(gone_after=gone_after) for subject in listed.complete}
        self._requests = dict.fromkeys(listed.complete, True) | self._requests
        self._wake.set()

    async def _run_round(self, cut: Callable[[Subject], None]) -> None:
        """Carries out the requests, at most _MAX_PER_ROUND of them."""
        now, requests = self._clock.now(), self._requests
        lifetime = _LIFETIME_S + _PER_WAITING_BAN_S * len(requests)
        changes = []
        for _ in range(min(_MAX_PER_ROUND, len(requests))):
            subject, is_wanted = requests.popitem()
            ban = self._bans.pop(subject, None) or _InterimBan()
            self._bans[subject] = ban
            end = min(now + lifetime, self._ban_end(subject)) if is_wanted else now
            dropped_until, ban.drops_until = ban.drops_until, end if end > now else 0.0
            if end > now:
                ban.in_flight = True
                changes.append(self._add(subject, ban, dropped_until, cut))
            elif self._may_be_there(ban):
                changes.append(self._remove(subject, ban))
        await asyncio.gather(*changes)
        while self._bans and self._is_gone(next(iter(self._bans.values())), now):
            del self._bans[next(iter(self._bans))]

    def _ban_end(self, subject: Subject) -> float:
        until = self._until(subject)
        return inf if until is None else until

    async def _add(
        self,
        subject: Subject,
        ban: _InterimBan,
        dropped_until: float,
        cut: Callable[[Subject], None],
    ) -> None:
        """Adds an interim ban, or renews one that has dropped packets until `dropped_until`."""
        end, earlier_gone_after, began = ban.drops_until, self._gone_after(ban), self._clock.now()
        is_added = False
        try:
            await self._backend.add(subject, end, replace=earlier_gone_after > began)
            is_added = True
        except FirewallRefused:
            end = 0.0  # it is not there; firewalld refuses it, too, and that is logged
        except FirewallDown as error:
            self._on_failure(error)
        finally:
            now = self._clock.now()
            ban.in_flight = False
            if not is_added:
                ban.drops_until = 0.0
            # A ban that was added late ends late, and one whose renewal failed may still be there.
            gone_after = end + (now - began) + _ROUNDING_S
            ban.gone_after = gone_after if is_added else max(gone_after, earlier_gone_after)
        if is_added:
            self._problem = ""
            self._condition.clear("interim bans work again")
            if dropped_until <= now:  # packets got through before
                ban.dropping_since = self._clock.monotonic()
                cut(subject)

    def _gone_after(self, ban: _InterimBan | None) -> float:
        known = None if ban is None else ban.gone_after
        return self._unknown_until if known is None else known

    def _may_be_there(self, ban: _InterimBan | None) -> bool:
        return self._gone_after(ban) > self._clock.now()

    def _is_gone(self, ban: _InterimBan, now: float) -> bool:
        return not ban.in_flight and self._gone_after(ban) <= now

    async def _remove(self, subject: Subject, ban: _InterimBan) -> None:
        try:
            await self._backend.remove(subject)
        except FirewallDown as error:
            self._on_failure(error)
            return
        except FirewallRefused:
            pass  # then it never was there
        ban.gone_after = 0.0

    def _on_failure(self, error: FirewallDown) -> None:
        self._problem = str(error)
        self._condition.report(f"bans wait for firewalld alone: {error}", level="info")


class NoInterim:
    """The null implementation: all subjects wait for the firewall."""

    def state(self) -> str:
        return "off"

    def add(self, subjects: Iterable[Subject]) -> None:
        pass

    def is_dropping(self, subject: Subject) -> bool:
        return False

    def dropping_since(self, subject: Subject) -> float | None:
        return None

    def remove(self, subject: Subject) -> None:
        pass

    async def run(self, cut: Callable[[Subject], None]) -> None:
        pass

    async def clear(self) -> None:
        pass

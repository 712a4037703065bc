"""Enforces the bans: backend, enforcer and session cutter, exchanged together by a reload.

Known limits: after a reload that exchanges the enforcer, a ban is not known to be in force until
the new one has compared the firewall with the bans.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from mailbanned.address import Subject, display_subject
from mailbanned.clock import Clock, iso
from mailbanned.config.options import FirewallTable
from mailbanned.daemon import factory
from mailbanned.daemon.ineffective_bans import IneffectiveBans
from mailbanned.daemon.reaction_time import ReactionTimes
from mailbanned.firewall import Enforcer, FirewallDown, FirewallState, InForce, Sessions
from mailbanned.jails import Ledger, SeenWhileBanned
from mailbanned.log import get_logger
from mailbanned.model import Ban

_log = get_logger("firewall")
_ban_log = get_logger("jails")


class FirewallManager:
    """Keeps one enforcer running for the bans of the ledger, and reports when they are in force.

    reaction: how long bans took until packets were dropped.
    ineffective: bans whose subjects still get through.
    """

    def __init__(self, ledger: Ledger, clock: Clock, table: FirewallTable, dry_run: bool) -> None:
        self.reaction = ReactionTimes()
        self.ineffective = IneffectiveBans()
        self._ledger = ledger
        self._clock = clock
        self._dry_run = dry_run
        self._sessions = Sessions()
        self._changed = asyncio.Event()  # a ban came into force, or was lifted
        self._use(table)

    def _use(self, table: FirewallTable) -> None:
        self._table = table
        firewall = factory.firewall(table, self._dry_run)
        self._is_enforcing = firewall.name != "dry-run"
        self._cuts = table.cut_sessions and self._is_enforcing
        cut = self._sessions.cut if self._cuts else None
        self._interim = factory.interim(table, self._dry_run, self._clock, self._ban_end)
        self._enforcer = Enforcer(
            firewall,
            self._clock,
            cut=cut,
            on_in_force=self._on_in_force,
            until=self._ban_end,
            interim=self._interim,
        )

    def _ban_end(self, subject: Subject) -> float | None:
        """Returns when the last of a subject's bans ends; None if one of them never does."""
        ends = [ban.until for ban in self._ledger.bans_of(subject)]
        return None if None in ends else max((end for end in ends if end is not None), default=0.0)

    def start(self, tasks: asyncio.TaskGroup, unreported: Iterable[Ban] = ()) -> None:
        """Enforces the bans of the ledger, and from now on those of `want`.

        unreported: those that an earlier enforcer had not reported as in force.
        """
        self._tasks = tasks
        self._enforcer.restore(self._ledger.subjects(), unreported)
        self._running = tasks.create_task(self._enforcer.run())

    async def wait_until_settled(self, seconds: float) -> None:
        """Waits until all bans are in force, or cannot be for now; at most for `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._enforcer.settled.wait()

    async def exchange(self, table: FirewallTable) -> None:
        """Exchanges backend and enforcer for those of another [firewall] table.

        If bans move to another backend or zone, those in the old one are removed first: for that
        moment no address is banned, but nothing of ours is left where it would not be maintained.
        """
        self._running.cancel()
        await asyncio.wait([self._running])
        before = self._table
        if (table.backend, table.zone) != (before.backend, before.zone) or (
            before.interim and not table.interim
        ):
            await self.flush()
        unreported = self._enforcer.unreported()
        self._use(table)
        self.start(self._tasks, unreported)

    async def flush(self) -> None:
        """Removes every ban of ours from the firewall; only while the enforcer does not run."""
        try:
            await self._enforcer.flush()
        except FirewallDown as error:
            _log.warning("cannot remove the bans from the firewall", error=str(error))

    def want(self, ban: Ban) -> None:
        """Enforces a new ban."""
        self._enforcer.want(ban.subject, ban)

    def unwant(self, subject: Subject) -> None:
        """Lifts the last ban of a subject."""
        self._enforcer.unwant(subject)
        self.ineffective.forget(subject)
        self._changed.set()

    def check_effect(self, seen: SeenWhileBanned) -> None:
        """Takes note of a failure of a banned subject, which says that the ban has no effect."""
        since = self._enforcer.in_force_since(seen.subject)
        if self._is_enforcing and since is not None:
            in_force_s = seen.read_monotonic - since
            self.ineffective.record(seen.subject, seen.failure, self._clock.now(), in_force_s)

    async def wait_until_in_force(self, subject: Subject) -> None:
        """Waits until the subject's ban is in force (or lifted again)."""
        while self.in_force_since(subject) is None and subject in self._ledger:
            self._changed.clear()
            await self._changed.wait()

    def in_force_since(self, subject: Subject) -> float | None:
        """Returns since when the firewall has the subject's rule (epoch); None if it has not."""
        return self._epoch(self._enforcer.in_force_since(subject))

    def interim_in_force_since(self, subject: Subject) -> float | None:
        """Returns since when an interim ban holds for one that waits (epoch); None if none does."""
        return self._epoch(self._enforcer.interim_in_force_since(subject))

    def state(self) -> FirewallState:
        """Returns how the firewall is doing."""
        return self._enforcer.state()

    def interim_state(self) -> str:
        """Returns whether packets are dropped while bans wait for firewalld."""
        return self._interim.state()

    def sessions_state(self) -> str:
        """Returns whether live connections of banned subjects are ended."""
        return self._sessions.state() if self._cuts else "off"

    def _on_in_force(self, report: InForce) -> None:
        self._changed.set()
        for ban in report.bans:
            took = None
            if ban.read_monotonic is not None:
                took = max(0.0, report.dropped_since - ban.read_monotonic)
                self.reaction.add(took)
            _log_ban(ban, took)

    def _epoch(self, monotonic: float | None) -> float | None:
        if monotonic is None:
            return None
        return self._clock.now() - (self._clock.monotonic() - monotonic)


def _log_ban(ban: Ban, took: float | None) -> None:
    values: dict[str, object] = {"jail": ban.jail, "failures": ban.failures, "user": ban.user}
    values["until"] = iso(ban.until)
    values["reason"] = ban.reason
    if took is not None:
        values["ms"] = round(took * 1000, 1)
    _ban_log.warning(f"[{ban.jail}] Ban {display_subject(ban.subject)}", **values)

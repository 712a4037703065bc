"""The firewall of the day: backend, enforcer and session cutter, exchanged together by a reload."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from mailbanned.address import Subject
from mailbanned.clock import Clock
from mailbanned.config.options import FirewallTable
from mailbanned.daemon import factory
from mailbanned.daemon.pipeline import Core
from mailbanned.firewall import Enforcer, FirewallDown, FirewallState, Sessions
from mailbanned.log import get_logger

log = get_logger("firewall")


class Enforcing:
    """Keeps one enforcer at work for the core."""

    def __init__(self, core: Core, clock: Clock, table: FirewallTable, dry_run: bool) -> None:
        self._core = core
        self._clock = clock
        self._dry_run = dry_run
        self._sessions = Sessions()
        self._use(table)

    def _use(self, table: FirewallTable) -> None:
        self._table = table
        firewall = factory.firewall(table, self._dry_run)
        self._cuts = table.cut_sessions and firewall.name != "dry-run"
        cut = self._sessions.cut if self._cuts else None
        self._interim = factory.interim(
            table, self._dry_run, self._clock, self._until, self._core.kept_out
        )
        self._enforcer = Enforcer(
            firewall, self._clock, cut=cut, in_force=self._core.in_force, until=self._until,
            interim=self._interim,
        )  # fmt: skip
        self._core.firewall, self._core.enforces = self._enforcer, firewall.name != "dry-run"

    def _until(self, subject: Subject) -> float | None:
        """When the last of a subject's bans ends; None if one of them never does."""
        ends = [ban.until for ban in self._core.engine.ledger.bans_of(subject)]
        return None if None in ends else max((end for end in ends if end is not None), default=0.0)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Enforces what the ledger holds, and from now on what the core decides."""
        self._tasks = tasks
        self._enforcer.restore(self._core.engine.ledger.subjects())
        self._running = tasks.create_task(self._enforcer.run())

    async def settled(self, seconds: float) -> None:
        """Waits until all bans are in force, or cannot be for now; no longer than so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._enforcer.settled.wait()

    async def exchange(self, table: FirewallTable) -> None:
        """From now on the firewall of another [firewall] table.

        If bans move to another place, those in the old place are taken out first: for that moment
        nobody is banned, but nothing of ours stays behind where nobody looks after it.
        """
        self._running.cancel()
        await asyncio.wait([self._running])
        before = self._table
        if (table.backend, table.zone) != (before.backend, before.zone) or (
            before.interim and not table.interim
        ):
            await self.flush()
        self._use(table)
        self.start(self._tasks)

    async def flush(self) -> None:
        """Takes every ban of ours out of the firewall; only while the enforcer does not run."""
        try:
            await self._enforcer.flush()
        except FirewallDown as error:
            log.warning("cannot take the bans out of the firewall", error=str(error))

    def state(self) -> FirewallState:
        """How the firewall is doing."""
        return self._enforcer.state()

    def interim(self) -> str:
        """Whether the banned are kept out while they wait for firewalld."""
        return self._interim.state()

    def is_dropping(self, subject: Subject) -> bool:
        """Whether an interim ban of the subject holds."""
        return self._interim.is_dropping(subject)

    def sessions(self) -> str:
        """Whether live connections of banned subjects are ended."""
        return self._sessions.state() if self._cuts else "off"

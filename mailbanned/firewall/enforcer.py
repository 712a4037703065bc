"""Keeps a firewall equal to the wanted bans, whatever happens to it.

The reconciler decides; this carries out: it connects with growing pauses, compares the rules of the
firewall with the wanted bans after every loss and at every audit, runs the jobs, and cuts live
connections of a subject once its rule is in force. Interim bans may drop the packets of a subject
that waits for a slow firewall.

Known limits: while the firewall loses its rules new connections get through; without interim bans
also until the rules are back, which takes some milliseconds for each ban, the newest first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from mailbanned.address import Subject, display_subject
from mailbanned.clock import Clock
from mailbanned.firewall.base import Firewall, FirewallDown, FirewallRefused, FirewallState
from mailbanned.firewall.enforced_ban import EnforcedBan, Job
from mailbanned.firewall.interim import Interim, NoInterim
from mailbanned.firewall.reconciler import Diff, Reconciler
from mailbanned.firewall.sessions import ConnectionCutter, CutSessions
from mailbanned.log import Condition, get_logger
from mailbanned.model import Ban

_log = get_logger("firewall")


class InForce(NamedTuple):
    """The report that a subject's ban is in force.

    bans: those given to `want` since the last report; none if the ban was only restored.
    dropped_since: monotonic time since which its packets are dropped, be it by an interim ban.
    """

    subject: Subject
    bans: Sequence[Ban]
    dropped_since: float


class Enforcer:
    """Makes the firewall hold exactly the wanted bans.

    firewall: the backend; the enforcer connects and closes it.
    cut: ends live connections of the subjects; None leaves them alone.
    on_in_force: called once for every `want` and every restored subject, when its rule is certainly
        in force. It is not called for rules that are added again after a loss.
    until: when the last ban of a subject ends (seconds since the epoch); None is never.
    interim: drops the packets of subjects that wait for the firewall.
    audit: seconds between two comparisons when nothing happens.
    pauses: the first and the longest pause between attempts while the firewall is down (seconds).
    settled: set once all wanted bans are in force, or the firewall has turned out to be down.
    """

    def __init__(
        self,
        firewall: Firewall,
        clock: Clock,
        *,
        cut: CutSessions | None,
        on_in_force: Callable[[InForce], None],
        until: Callable[[Subject], float | None] = lambda _subject: None,
        interim: Interim | NoInterim | None = None,
        audit: float = 30.0,
        pauses: tuple[float, float] = (0.5, 30.0),
    ) -> None:
        self._firewall = firewall
        self._clock = clock
        self._cutter = ConnectionCutter(cut)
        self._interim = interim or NoInterim()
        self._on_in_force = on_in_force
        self._until = until
        self._audit = audit
        self._reconciler = Reconciler(firewall.max_parallel, firewall.max_parallel_restores)
        self._state: Literal["up", "down", "connecting"] = "connecting"
        self._detail = ""
        self._outage = Condition(_log)
        self._loss = ""  # what made the next comparison necessary, "" for an audit
        self._first_pause, self._longest_pause = pauses
        self._pause = self._first_pause
        self._wake = asyncio.Event()
        self.settled = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    def want(self, subject: Subject, ban: Ban | None = None) -> None:
        """Adds a ban, before all other work. `on_in_force` may be called before this returns.

        A subject that is banned already has its connections cut again: it was seen to act.
        """
        record = self._reconciler.want(subject, ban)
        if record.is_in_force:
            self._report(record, self._clock.monotonic())
            self._cutter.request(subject)
        else:
            self._interim.add([subject])
        self._start_jobs()

    def unwant(self, subject: Subject) -> None:
        """Lifts a ban."""
        self._reconciler.unwant(subject)
        self._check_settled()
        self._interim.remove(subject)
        self._start_jobs()

    def restore(self, subjects: Iterable[Subject], unreported: Iterable[Ban] = ()) -> None:
        """Takes over the bans of an earlier run or enforcer, oldest first.

        unreported: those of them that the earlier enforcer had not reported.
        """
        self._reconciler.restore(subjects, unreported)
        self._wake.set()

    def unreported(self) -> list[Ban]:
        """Returns the bans given to `want` that have not been in force yet."""
        return self._reconciler.unreported()

    def in_force_since(self, subject: Subject) -> float | None:
        """Returns since when (monotonic) the subject's rule is certainly there; None if it is not.

        After a loss that is the time at which the rule was found or added again.
        """
        return self._reconciler.in_force_since(subject)

    def interim_in_force_since(self, subject: Subject) -> float | None:
        """Returns since when (monotonic) an interim ban drops the packets of a subject that waits.

        None if none does, or if the rule of the firewall is there.
        """
        if self.in_force_since(subject) is not None:
            return None
        return self._interim.dropping_since(subject)

    def state(self) -> FirewallState:
        """Returns how the firewall is doing now."""
        return FirewallState(
            self._firewall.name,
            self._state,
            self._firewall.zone,
            self._detail,
            self._reconciler.in_force(),
            self._reconciler.pending(),
        )

    async def run(self) -> None:
        """Works until it is cancelled. The bans stay in force afterwards."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._notice_losses())
                tasks.create_task(self._cutter.run())
                tasks.create_task(self._interim.run(self._cutter.request))
                self._tasks = tasks
                try:
                    await self._reconcile()
                finally:
                    self._tasks = None  # `want` starts nothing in a group that is ending
        finally:
            await self._firewall.close()

    async def flush(self) -> None:
        """Removes all bans of ours from the firewall. Only after `run` has ended.

        Raises FirewallDown if that is not possible; the next run then removes what is left.
        """
        try:
            await self._firewall.connect()
            listed = await self._firewall.list_bans()
            left = list(listed.complete | listed.partial)
            size = self._firewall.max_parallel
            while left:
                batch, left = left[-size:], left[:-size]
                removals = (self._firewall.remove(subject) for subject in batch)
                for problem in await asyncio.gather(*removals, return_exceptions=True):
                    if problem is not None:
                        raise problem
        finally:
            await self._firewall.close()
            await self._interim.clear()

    async def _reconcile(self) -> None:
        """Connects, compares, and compares again after every loss and at every audit."""
        while True:
            if self._state == "down":
                await self._back_off()
            self._wake.clear()
            epoch = self._reconciler.epoch
            try:
                if self._state != "up":
                    await self._firewall.connect()
                self._reconciler.begin_listing()
                listed = await self._firewall.list_bans()
            except FirewallDown as error:
                self._on_down(str(error))
                continue
            if epoch == self._reconciler.epoch:  # else what was listed may be gone again
                self._on_up(self._reconciler.compare(listed, self._clock.monotonic()))
                await self._wait(self._audit)

    async def _back_off(self) -> None:
        """Waits the growing pause between attempts; a loss, which may be a return, shortens it."""
        await asyncio.sleep(self._first_pause)  # even if every attempt brings a loss with it
        await self._wait(self._pause - self._first_pause)
        self._pause = min(2 * self._pause, self._longest_pause)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
                self._wake.clear()

    async def _notice_losses(self) -> None:
        while True:
            self._loss = await self._firewall.wait_until_lost()
            self._reconciler.new_epoch()
            self._wake.set()

    def _on_up(self, diff: Diff) -> None:
        """The firewall has answered; `diff` is what it lacks or has too much."""
        counts = {
            "in_force": self._reconciler.in_force(),
            "to_restore": diff.to_restore,
            "to_remove": diff.to_remove,
        }
        if self._state == "connecting":
            _log.info("firewall is up", zone=self._firewall.zone, **counts)
        elif self._state == "down":
            self._outage.clear("firewall is up", zone=self._firewall.zone, **counts)
        elif self._loss and (diff.to_restore or diff.to_remove):
            _log.info(f"restoring bans: {self._loss}", **counts)
        elif diff.vanished:
            _log.warning("restoring bans: they vanished from the firewall", **counts)
        self._state, self._detail, self._loss = "up", "", ""
        if not diff.to_restore:
            self.settled.set()
            self._pause = self._first_pause
        for record in diff.now_in_force:
            self._on_rule_in_force(record)
        self._interim.add(self._reconciler.waiting())
        self._start_jobs()

    def _on_down(self, reason: str) -> None:
        """The firewall is down: no rule is known to be there, and all bans wait."""
        self._state, self._detail = "down", reason
        self.settled.set()
        self._reconciler.new_epoch()
        self._outage.report(
            f"firewall is down: {reason}", level="error", waiting=self._reconciler.pending()
        )
        self._interim.add(self._reconciler.waiting())

    def _start_jobs(self) -> None:
        if self._state == "up" and self._tasks is not None:
            while job := self._reconciler.next_job():
                self._tasks.create_task(self._work(job))

    async def _work(self, job: Job | None) -> None:
        """Runs one job after another while there are any: a task for each would cost more."""
        while job is not None:
            await self._run_job(job)
            job = self._reconciler.next_job() if self._state == "up" else None

    async def _run_job(self, job: Job) -> None:
        try:
            if job.add:
                await self._firewall.add(job.subject, self._until(job.subject))
            else:
                await self._firewall.remove(job.subject)
        except FirewallDown as error:
            if self._reconciler.failed(job):
                self._on_down(str(error))
                self._wake.set()
        except FirewallRefused as error:
            self._reconciler.refused(job)
            self._check_settled()
            _log.error(f"cannot ban {display_subject(job.subject)}: {error}")
        else:
            self._pause = self._first_pause
            if record := self._reconciler.succeeded(job, self._clock.monotonic()):
                self._on_rule_in_force(record, is_new=not job.is_restore)

    def _on_rule_in_force(self, record: EnforcedBan, *, is_new: bool = True) -> None:
        """Reports a rule that came into force, and cuts what the subject still has open."""
        dropped_since = self._interim.dropping_since(record.subject)
        if record.is_awaited:
            now = self._clock.monotonic()
            self._report(record, now if dropped_since is None else dropped_since)
        if dropped_since is None:  # else its connections have been cut
            self._cutter.request(record.subject, urgent=is_new)

    def _report(self, record: EnforcedBan, dropped_since: float) -> None:
        bans, record.unreported = record.unreported, ()
        self._reconciler.settle(record)
        self._check_settled()
        self._on_in_force(InForce(record.subject, bans, dropped_since))

    def _check_settled(self) -> None:
        if not self._reconciler.awaited:
            self.settled.set()

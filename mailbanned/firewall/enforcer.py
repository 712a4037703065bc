"""Keeps a firewall equal to the wanted bans, whatever happens to it.

The reconciler decides; this carries out: it connects with growing pauses, compares the rules of
the firewall with it after every loss and at every audit, runs jobs, and cuts connections of a
subject once its rule is in force. What has to wait for a slow firewall may be kept out meanwhile by
interim bans.

Known limit: while the firewall loses its rules new connections get through; without interim bans
also until they are back, which takes some milliseconds for each ban, the newest first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Literal

from mailbanned.address import Subject, display_subject
from mailbanned.clock import Clock
from mailbanned.firewall.base import Firewall, FirewallDown, FirewallRefused, FirewallState
from mailbanned.firewall.interim import Interim, NoInterim
from mailbanned.firewall.reconciler import Diff, Job, Reconciler
from mailbanned.firewall.sessions import ConnectionCutter, CutSessions
from mailbanned.log import get_logger

_log = get_logger("firewall")


class Enforcer:
    """Makes the firewall hold exactly the wanted bans.

    firewall: the backend; it belongs to the enforcer, which connects and closes it.
    cut: ends live connections of the subjects; None leaves them alone.
    in_force: called once for every `want` and every restored subject, with the time (in the
        clock's ticks) at which its rule was known to be in force. Re-applied rules are not told.
    until: when the last ban of a subject ends (seconds since the epoch); None is never.
    interim: keeps out who waits for the firewall.
    audit: seconds between two comparisons when nothing happens.
    pauses: the first and the longest pause between attempts while it is down, in seconds.
    settled: set once all that is wanted is in force, or the firewall has turned out to be down.
    """

    def __init__(
        self,
        firewall: Firewall,
        clock: Clock,
        *,
        cut: CutSessions | None,
        in_force: Callable[[Subject, float], None],
        until: Callable[[Subject], float | None] = lambda _subject: None,
        interim: Interim | NoInterim | None = None,
        audit: float = 30.0,
        pauses: tuple[float, float] = (0.5, 30.0),
    ) -> None:
        self._firewall = firewall
        self._clock = clock
        self._cutter = ConnectionCutter(cut)
        self._interim = interim or NoInterim()
        self._tell = in_force
        self._until = until
        self._audit = audit
        self._plan = Reconciler(firewall.max_parallel, firewall.max_parallel_restores)
        self._state: Literal["up", "down", "connecting"] = "connecting"
        self._detail = ""
        self._said = ""  # the reason of the present outage that is in the log already
        self._loss = ""  # what made the next comparison necessary, "" for an audit
        self._first_pause, self._longest_pause = pauses
        self._pause = self._first_pause
        self._wake = asyncio.Event()
        self._untold: set[Subject] = set()
        self.settled = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    def want(self, subject: Subject) -> None:
        """A new ban; it goes before all other work. `in_force` may be called before this returns.

        A subject that is banned already has its connections cut again: somebody saw it act.
        """
        self._untold.add(subject)
        if self._plan.want(subject):
            self._holds(subject)
            self._cutter.ask(subject)
        else:
            self._interim.put([subject])
        self._start_jobs()

    def unwant(self, subject: Subject) -> None:
        """The end of a ban."""
        self._is_settled(subject)
        self._plan.unwant(subject)
        self._interim.take(subject)
        self._start_jobs()

    def restore(self, subjects: Iterable[Subject]) -> None:
        """The bans of an earlier run, oldest first."""
        subjects = list(subjects)
        self._untold.update(subjects)
        self._plan.restore(subjects)
        self._wake.set()

    def state(self) -> FirewallState:
        """How it stands now."""
        here, reconciler = self._firewall, self._plan
        return FirewallState(
            here.name,
            self._state,
            here.zone,
            self._detail,
            reconciler.in_force(),
            reconciler.pending(),
        )

    async def run(self) -> None:
        """Works until it is cancelled. The bans stay in force afterwards."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._notice_losses())
                tasks.create_task(self._cutter.run())
                tasks.create_task(self._interim.run(self._cutter.ask))
                self._tasks = tasks
                try:
                    await self._keep()
                finally:
                    self._tasks = None  # `want` starts nothing in a group that is ending
        finally:
            await self._firewall.close()

    async def flush(self) -> None:
        """Removes all bans of ours from the firewall. Only after `run` has ended.

        Raises FirewallDown if that is not possible; what is left is then removed by the next run.
        """
        try:
            await self._firewall.connect()
            listed = await self._firewall.list_bans()
            left = list(listed.complete | listed.partial)
            while left:
                some, left = (
                    left[-self._firewall.max_parallel :],
                    left[: -self._firewall.max_parallel],
                )
                removals = (self._firewall.remove(subject) for subject in some)
                for problem in await asyncio.gather(*removals, return_exceptions=True):
                    if problem is not None:
                        raise problem
        finally:
            await self._firewall.close()
            await self._interim.clear()

    async def _keep(self) -> None:
        """Connects, compares, and compares again after every loss and at every audit."""
        while True:
            if self._state == "down":
                await self._rest()
            self._wake.clear()
            epoch = self._plan.epoch
            try:
                if self._state != "up":
                    await self._firewall.connect()
                self._plan.begin_listing()
                listed = await self._firewall.list_bans()
            except FirewallDown as error:
                self._fall(str(error))
                continue
            if epoch == self._plan.epoch:  # else what was listed may be gone again
                self._learn(self._plan.compare(listed))
                await self._wait(self._audit)

    async def _rest(self) -> None:
        """The growing pause between attempts; a loss, which may be a return, shortens it."""
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
            self._plan.new_epoch()
            self._wake.set()

    def _learn(self, comparison: Diff) -> None:
        """The firewall is up, and these are the differences."""
        counts = {
            "in_force": self._plan.in_force(),
            "to_restore": comparison.missing,
            "to_remove": comparison.surplus,
        }
        if self._state != "up":
            _log.info("Firewall is up", zone=self._firewall.zone, **counts)
        elif self._loss and (comparison.missing or comparison.surplus):
            _log.info(f"Putting bans again: {self._loss}", **counts)
        elif comparison.vanished:
            _log.warning("Putting bans again: they vanished from the firewall", **counts)
        self._state, self._detail, self._said, self._loss = "up", "", "", ""
        if not comparison.missing:
            self.settled.set()
            self._pause = self._first_pause
        for subject in comparison.found:
            self._holds(subject)
        self._interim.put(self._plan.waiting())
        self._start_jobs()

    def _fall(self, reason: str) -> None:
        """The firewall is down: nothing is known to hold, and everything waits."""
        self._state, self._detail = "down", reason
        self.settled.set()
        self._plan.new_epoch()
        if reason != self._said:
            self._said = reason
            _log.error(f"Firewall is down: {reason}", waiting=self._plan.pending())
        self._interim.put(self._plan.waiting())

    def _start_jobs(self) -> None:
        if self._state == "up" and self._tasks is not None:
            while job := self._plan.next():
                self._tasks.create_task(self._work(job))

    async def _work(self, job: Job | None) -> None:
        """Does one job after the other while there are any: a task for each would cost more."""
        while job is not None:
            await self._do(job)
            job = self._plan.next() if self._state == "up" else None

    async def _do(self, job: Job) -> None:
        try:
            if job.add:
                await self._firewall.add(job.subject, self._until(job.subject))
            else:
                await self._firewall.remove(job.subject)
        except FirewallDown as error:
            if self._plan.failed(job):
                self._fall(str(error))
                self._wake.set()
        except FirewallRefused as error:
            self._plan.refused(job)
            self._is_settled(job.subject)
            _log.error(f"Cannot ban {display_subject(job.subject)}: {error}")
        else:
            self._pause = self._first_pause
            if self._plan.done(job):
                self._holds(job.subject, is_new=not job.bulk)

    def _holds(self, subject: Subject, *, is_new: bool = True) -> None:
        """The subject's rule is in force: say so, and cut what it still has open."""
        if subject in self._untold:
            self._is_settled(subject)
            self._tell(subject, self._clock.monotonic())
        if not self._interim.is_dropping(subject):  # else they have been cut
            self._cutter.ask(subject, urgent=is_new)

    def _is_settled(self, subject: Subject) -> None:
        """There is nothing more to wait for with this subject."""
        self._untold.discard(subject)
        if not self._untold:
            self.settled.set()

"""Decides which rule is added or removed next: the wanted bans against what is known of the rules.

No I/O, no clock, no waiting: the enforcer carries out the jobs and reports how they ended.

Knowledge belongs to an epoch. Whenever rules may have been lost, a new epoch begins, in which no
rule is known to be there. A job carries the epoch in which it was begun, and its success counts
only if that epoch still lasts: a rule added before a reload of the firewall is gone, although the
reply may come after the reload.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from mailbanned.address import Subject
from mailbanned.firewall.base import Listed
from mailbanned.firewall.enforced_ban import EnforcedBan, Job, RuleEvent, RuleState
from mailbanned.model import Ban


@dataclass(frozen=True, slots=True)
class Diff:
    """How a listing of the firewall differs from what was known and is wanted.

    now_in_force: wanted bans whose rule turned out to be there.
    vanished: number of wanted rules that were thought to be there and are not.
    to_restore: number of wanted rules that have to be added.
    to_remove: number of rules that have to be removed.
    """

    now_in_force: list[EnforcedBan]
    vanished: int
    to_restore: int
    to_remove: int


class Reconciler:
    """The bookkeeping of one enforcer: one record for each subject.

    max_parallel: number of jobs at the same time. max_parallel_restores: number of them that may
        restore or remove.
    awaited: number of bans of which it is still to be reported that they are in force.
    """

    def __init__(self, max_parallel: int, max_parallel_restores: int) -> None:
        self.epoch = 0
        self.awaited = 0
        self._max_parallel = max_parallel
        self._max_parallel_restores = max_parallel_restores
        self._bans: dict[Subject, EnforcedBan] = {}  # the wanted ones in the order of the bans
        # The queues are hints: whether there is anything to do is decided when a job starts.
        self._new: deque[Subject] = deque()
        self._restores: deque[Subject] = deque()
        self._removals: deque[Subject] = deque()
        self._jobs = 0
        self._restoring_jobs = 0
        # Subjects with a job since the listing was begun: their jobs know better than the listing.
        self._changed_since_listing: set[Subject] = set()

    def want(self, subject: Subject, ban: Ban | None = None) -> EnforcedBan:
        """The subject is to be banned, before all others that wait. Returns its record.

        ban: to be named in the report that it is in force.
        """
        record = self._demand(subject)
        if ban is not None:
            record.unreported += (ban,)
        if not record.is_in_force:
            record.advance(RuleEvent.DEMANDED)
            self._new.append(subject)
        return record

    def restore(self, subjects: Iterable[Subject], unreported: Iterable[Ban] = ()) -> None:
        """The subjects, oldest first, are to be banned after the next listing.

        unreported: bans of them that are to be named in the report that they are in force.
        """
        for subject in subjects:
            self._demand(subject)
        for ban in unreported:
            if record := self._bans.get(ban.subject):
                record.unreported += (ban,)

    def unwant(self, subject: Subject) -> None:
        """The subject is no longer to be banned."""
        record = self._bans.get(subject)
        if record is None:
            return
        self.settle(record)
        record.unreported = ()
        record.is_wanted = False
        record.advance(RuleEvent.DEMANDED)
        self._removals.append(subject)
        self._drop_if_over(record)

    def settle(self, record: EnforcedBan) -> None:
        """No report is due any more that the ban is in force."""
        self.awaited -= record.is_awaited
        record.is_awaited = False

    def in_force_since(self, subject: Subject) -> float | None:
        """Returns since when the subject's ban has certainly been in force; None if it is not."""
        record = self._bans.get(subject)
        return record.in_force_since if record is not None and record.is_wanted else None

    def unreported(self) -> list[Ban]:
        """Returns the bans of which it was not reported that they are in force."""
        return [ban for record in self._bans.values() for ban in record.unreported]

    def in_force(self) -> int:
        """Returns the number of bans that are certainly in force."""
        return sum(record.is_in_force for record in self._bans.values())

    def waiting(self) -> list[Subject]:
        """Returns the wanted bans that are not in force yet, oldest first."""
        return [record.subject for record in self._bans.values() if record.is_waiting]

    def pending(self) -> int:
        """Returns the number of wanted bans that are not in force yet."""
        return sum(record.is_waiting for record in self._bans.values())

    def next_job(self) -> Job | None:
        """Starts the most urgent job, or returns None if none can be started now."""
        if self._jobs >= self._max_parallel:
            return None
        if job := self._start(self._new, add=True, is_restore=False):
            return job
        if self._restoring_jobs >= self._max_parallel_restores:
            return None
        return self._start(self._restores, add=True, is_restore=True) or self._start(
            self._removals, add=False, is_restore=True
        )

    def succeeded(self, job: Job, at: float) -> EnforcedBan | None:
        """The job succeeded at a monotonic time. Returns the ban that came into force by it."""
        if not job.add:
            event = RuleEvent.REMOVED
        elif job.epoch == self.epoch:
            event = RuleEvent.ADDED
        else:
            event = RuleEvent.ADDED_BEFORE_LOSS
        record = self._end(job, event, at)
        return record if job.add and record.is_in_force else None

    def failed(self, job: Job) -> bool:
        """The job failed for now. Returns whether its epoch still lasts, so that this is news."""
        self._end(job, RuleEvent.FAILED)
        return job.epoch == self.epoch

    def refused(self, job: Job) -> None:
        """The job can never succeed; it is not retried."""
        record = self._bans[job.subject]
        self._end(job, RuleEvent.REFUSED if record.is_wanted else RuleEvent.REMOVED)
        self.settle(record)

    def new_epoch(self) -> None:
        """All rules may have been lost."""
        self.epoch += 1
        for record in list(self._bans.values()):
            if record.in_force_since is not None:
                record.advance(RuleEvent.LOST)
                self._drop_if_over(record)

    def begin_listing(self) -> None:
        """The firewall is being asked for its rules; `compare` brings the answer."""
        self._changed_since_listing = {s for s, record in self._bans.items() if record.job}

    def compare(self, listed: Listed, at: float) -> Diff:
        """Learns from a listing, and queues what is missing (newest first) or surplus.

        at: monotonic time of the listing's arrival.
        """
        changed = self._changed_since_listing
        for subject in (listed.complete | listed.partial) - self._bans.keys() - changed:
            self._bans[subject] = EnforcedBan(subject)
        now_in_force, vanished = [], 0
        missing, surplus = deque[Subject](), deque[Subject]()
        for record in self._not_settled(listed):
            if record.subject not in changed:
                was_in_force = record.is_in_force
                record.advance(_event(record.subject, listed), at)
                if record.is_in_force and not was_in_force:
                    now_in_force.append(record)
                vanished += was_in_force and not record.is_in_force
                self._drop_if_over(record)
            if record.needs_add:
                missing.appendleft(record.subject)
            elif record.needs_removal:
                surplus.append(record.subject)
        self._new.clear()  # all that waited until now is among the restores; a new ban goes first
        self._restores, self._removals = missing, surplus
        return Diff(now_in_force, vanished, len(missing), len(surplus))

    def _not_settled(self, listed: Listed) -> list[EnforcedBan]:
        """Returns the records for which a listing may leave something to do, oldest first.

        Of thousands of bans these are few, so an audit holds up no new ban.
        """
        settled = listed.complete - listed.expiring
        return [
            record
            for record in self._bans.values()
            if not (
                record.state is RuleState.IN_FORCE
                and record.is_wanted
                and record.subject in settled
            )
        ]

    def _demand(self, subject: Subject) -> EnforcedBan:
        """Returns the record of a subject that is to be banned, as one to be reported."""
        record = self._bans.get(subject)
        if record is None or not record.is_wanted:
            # The order of the bans is kept, so a former ban that is wanted again goes to the end.
            record = self._bans.pop(subject, None) or EnforcedBan(subject)
            record.is_wanted = True
            self._bans[subject] = record
        self.awaited += not record.is_awaited
        record.is_awaited = True
        return record

    def _start(self, queue: deque[Subject], *, add: bool, is_restore: bool) -> Job | None:
        while queue:
            record = self._bans.get(queue.popleft())
            if record is None or record.job is not None:
                continue
            if record.needs_add if add else record.needs_removal:
                record.job = Job(record.subject, add, is_restore, self.epoch)
                record.advance(RuleEvent.ADDING if add else RuleEvent.REMOVING)
                self._changed_since_listing.add(record.subject)
                self._jobs += 1
                self._restoring_jobs += is_restore
                return record.job
        return None

    def _end(self, job: Job, event: RuleEvent, at: float | None = None) -> EnforcedBan:
        """Ends a job, and queues what it leaves to be done: hints for busy subjects are lost."""
        record = self._bans[job.subject]
        record.job = None
        self._jobs -= 1
        self._restoring_jobs -= job.is_restore
        record.advance(event, at)
        if record.needs_add:
            self._new.append(job.subject)
        elif record.needs_removal:
            self._removals.append(job.subject)
        else:
            self._drop_if_over(record)
        return record

    def _drop_if_over(self, record: EnforcedBan) -> None:
        if record.is_over:
            del self._bans[record.subject]


def _event(subject: Subject, listed: Listed) -> RuleEvent:
    """Returns how a listing shows a subject."""
    if subject in listed.complete:
        return RuleEvent.LISTED_AS_EXPIRING if subject in listed.expiring else RuleEvent.LISTED
    return RuleEvent.LISTED_IN_PART if subject in listed.partial else RuleEvent.NOT_LISTED

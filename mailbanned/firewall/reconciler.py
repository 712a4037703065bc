"""Decides which rule is put or taken next: what is wanted against what is known to hold.

No I/O, no clock, no waiting: the enforcer carries out the jobs and reports how they ended.

What is known belongs to an epoch. Whenever rules may have been lost, a new epoch begins in which
nothing is known to hold. A job carries the epoch it was started in, and what it did counts only if
that epoch still lasts: a rule put before a reload of the firewall is gone although its reply may
come later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from mailbanned.address import Subject
from mailbanned.firewall.base import Listed


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do.

    add: True puts the rule, False takes it away.
    bulk: it restores or removes, and so may wait while new bans are put.
    """

    subject: Subject
    add: bool
    bulk: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class Diff:
    """What a listing of the firewall's rules brought to light.

    found: wanted subjects that turned out to hold.
    vanished: wanted rules that were thought to hold and do not.
    missing: wanted rules that have to be put.
    surplus: rules that have to be taken away.
    """

    found: list[Subject]
    vanished: int
    missing: int
    surplus: int


class Reconciler:
    """The bookkeeping of one enforcer.

    max_parallel: jobs at the same time. max_parallel_restores: so many of them may restore or
        remove.
    """

    def __init__(self, max_parallel: int, max_parallel_restores: int) -> None:
        self.epoch = 0
        self._max_parallel = max_parallel
        self._max_parallel_restores = max_parallel_restores
        self._wanted: dict[Subject, None] = {}  # in the order of the bans
        self._held: set[Subject] = set()  # in force for certain, in this epoch
        self._ending: set[Subject] = set()  # held, but to be put once more before it is forgotten
        self._loose: set[Subject] = set()  # perhaps there, whole or in part
        self._refused: set[Subject] = set()
        # The queues are hints: whether there is anything to do is decided when a job starts.
        self._fresh: deque[Subject] = deque()
        self._again: deque[Subject] = deque()
        self._surplus: deque[Subject] = deque()
        self._busy: set[Subject] = set()
        self._bulk_jobs = 0
        # Subjects with a job since the listing was asked for: their jobs know better than it.
        self._touched: set[Subject] = set()

    def want(self, subject: Subject) -> bool:
        """The subject is to be banned, before all that waits. Returns whether it holds already."""
        if subject not in self._wanted:
            self._wanted[subject] = None
        if self.holds(subject):
            return True
        self._refused.discard(subject)
        self._fresh.append(subject)
        return False

    def restore(self, subjects: Iterable[Subject]) -> None:
        """The subjects, oldest first, are to be banned after the next listing."""
        self._wanted.update(dict.fromkeys(subjects))

    def unwant(self, subject: Subject) -> None:
        """The subject is not to be banned any more."""
        self._wanted.pop(subject, None)
        self._refused.discard(subject)
        self._surplus.append(subject)

    def holds(self, subject: Subject) -> bool:
        """Whether the subject is wanted and its rule is in force for certain."""
        return subject in self._held and subject in self._wanted and subject not in self._busy

    def in_force(self) -> int:
        """How many bans are in force for certain."""
        return len(self._held & self._wanted.keys())

    def waiting(self) -> list[Subject]:
        """The wanted bans that are not in force yet, oldest first."""
        return [s for s in self._wanted if s not in self._held and s not in self._refused]

    def pending(self) -> int:
        """How many wanted bans are not in force yet."""
        return len(self._wanted) - self.in_force() - len(self._refused)

    def next(self) -> Job | None:
        """Starts the most urgent job, or returns None if nothing can be started now."""
        if len(self._busy) >= self._max_parallel:
            return None
        if subject := self._take(self._fresh, add=True):
            return self._start(subject, add=True, bulk=False)
        if self._bulk_jobs >= self._max_parallel_restores:
            return None
        if subject := self._take(self._again, add=True):
            return self._start(subject, add=True, bulk=True)
        if subject := self._take(self._surplus, add=False):
            return self._start(subject, add=False, bulk=True)
        return None

    def done(self, job: Job) -> bool:
        """The job succeeded. Returns whether a wanted ban came into force by it."""
        self._end(job)
        self._held.discard(job.subject)
        self._loose.discard(job.subject)
        if job.add:
            (self._held if job.epoch == self.epoch else self._loose).add(job.subject)
        self._look_again(job.subject)
        return job.add and self.holds(job.subject)

    def failed(self, job: Job) -> bool:
        """The job failed for now. Returns whether this is news, and not of an older epoch."""
        self._end(job)
        self._loose.add(job.subject)  # nobody knows what became of it
        self._look_again(job.subject)
        return job.epoch == self.epoch

    def refused(self, job: Job) -> None:
        """The job can never succeed; it will not be tried again."""
        self._end(job)
        self._loose.discard(job.subject)
        self._held.discard(job.subject)
        if job.subject in self._wanted:
            self._refused.add(job.subject)

    def new_epoch(self) -> None:
        """What was in force may be gone."""
        self.epoch += 1
        self._held.clear()
        self._ending.clear()

    def begin_listing(self) -> None:
        """The firewall is being asked which rules it holds; `compare` brings the answer."""
        self._touched = set(self._busy)

    def compare(self, listed: Listed) -> Diff:
        """Learns from the answer, and queues whatever is missing (newest first) or surplus."""
        untouched = self._held - self._touched
        gone = untouched - listed.complete
        found = listed.complete - self._held - self._touched
        self._held = (self._held - gone) | found
        self._ending = (self._held & listed.expiring) - self._touched
        self._loose = (self._loose & self._touched) | (listed.partial - self._touched)
        self._again = deque(s for s in reversed(self._wanted) if self._is_due(s, add=True))
        self._fresh.clear()  # whatever waited until now is among them; what comes now goes first
        self._surplus = deque(s for s in self._held | self._loose if self._is_due(s, add=False))
        return Diff(
            found=[subject for subject in found if subject in self._wanted],
            vanished=len(gone & self._wanted.keys()),
            missing=len(self._again),
            surplus=len(self._surplus),
        )

    def _take(self, queue: deque[Subject], *, add: bool) -> Subject | None:
        while queue:
            subject = queue.popleft()
            if subject not in self._busy and self._is_due(subject, add=add):
                return subject
        return None

    def _is_due(self, subject: Subject, *, add: bool) -> bool:
        if add:
            settled = subject in self._held and subject not in self._ending
            return subject in self._wanted and not settled and subject not in self._refused
        return subject not in self._wanted and (subject in self._held or subject in self._loose)

    def _start(self, subject: Subject, *, add: bool, bulk: bool) -> Job:
        self._busy.add(subject)
        self._touched.add(subject)
        self._ending.discard(subject)
        if not add:  # it may be gone before that is known
            self._held.discard(subject)
            self._loose.add(subject)
        self._bulk_jobs += bulk
        return Job(subject, add, bulk, self.epoch)

    def _end(self, job: Job) -> None:
        self._busy.discard(job.subject)
        self._bulk_jobs -= job.bulk

    def _look_again(self, subject: Subject) -> None:
        """Queues what the end of a job leaves to be done, since hints for busy ones are dropped."""
        if self._is_due(subject, add=True):
            self._fresh.append(subject)
        elif self._is_due(subject, add=False):
            self._surplus.append(subject)

"""The reconciler against a simulated firewall that answers late and loses rules without notice.

Whatever the order of decisions, jobs, losses and listings: a ban reported in force is in force, and
when all has settled the firewall holds exactly the wanted bans.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mailbanned.address import Subject
from mailbanned.firewall import Listed
from mailbanned.firewall.enforced_ban import Job
from mailbanned.firewall.reconciler import Reconciler
from tests.firewall.support import subjects

SLOTS = 4
SUBJECTS = subjects(5)
any_subject = st.sampled_from(SUBJECTS)
any_index = st.integers(0, SLOTS - 1)


class ReconcilerMachine(RuleBasedStateMachine):
    """Decisions and events in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.reconciler = Reconciler(SLOTS, SLOTS * 3 // 4)
        self.wanted: set[Subject] = set()
        self.actual = set(SUBJECTS[:2])  # leftovers of an earlier run
        self.expiring: set[Subject] = set()  # there, but not for long
        self.sent: list[Job] = []  # the firewall has not worked on these
        self.answered: list[Job] = []  # it has, and the answer is under way
        self.listing_epoch: int | None = None
        self.snapshot: Listed | None = None
        self.unnoticed_loss = False

    @rule(subject=any_subject)
    def want(self, subject: Subject) -> None:
        self.wanted.add(subject)
        self.reconciler.want(subject)

    @rule(subject=any_subject)
    def unwant(self, subject: Subject) -> None:
        self.wanted.discard(subject)
        self.reconciler.unwant(subject)

    @rule(some=st.lists(any_subject, max_size=3))
    def restore(self, some: list[Subject]) -> None:
        self.wanted.update(some)
        self.reconciler.restore(some)

    @rule()
    def start(self) -> None:
        if job := self.reconciler.next_job():
            assert job.subject not in {other.subject for other in self.sent + self.answered}
            self.sent.append(job)

    @precondition(lambda self: self.sent)
    @rule(index=any_index)
    def work(self, index: int) -> None:
        job = self.sent.pop(index % len(self.sent))
        self.carry_out(job)
        self.answered.append(job)

    @precondition(lambda self: self.answered)
    @rule(index=any_index)
    def hear_answer(self, index: int) -> None:
        job = self.answered.pop(index % len(self.answered))
        record = self.reconciler.succeeded(job, 0.0)
        assert record is None or (job.add and record.subject == job.subject)

    @precondition(lambda self: self.sent)
    @rule(index=any_index, happened=st.booleans())
    def break_down(self, index: int, happened: bool) -> None:
        """A job fails, done or not; the enforcer begins a new epoch if that is news."""
        job = self.sent.pop(index % len(self.sent))
        if happened:
            self.carry_out(job)
        if self.reconciler.failed(job):
            self.reconciler.new_epoch()

    @rule()
    def lose(self) -> None:
        self.actual.clear()
        self.expiring.clear()
        self.unnoticed_loss = True

    @precondition(lambda self: self.actual)
    @rule(index=any_index)
    def grow_old(self, index: int) -> None:
        self.expiring.add(sorted(self.actual)[index % len(self.actual)])

    @precondition(lambda self: self.unnoticed_loss)
    @rule()
    def notice_loss(self) -> None:
        self.reconciler.new_epoch()
        self.unnoticed_loss = False

    @precondition(lambda self: self.listing_epoch is None)
    @rule()
    def ask_for_listing(self) -> None:
        self.listing_epoch = self.reconciler.epoch
        self.snapshot = None
        self.reconciler.begin_listing()

    @precondition(lambda self: self.listing_epoch is not None and self.snapshot is None)
    @rule()
    def take_snapshot(self) -> None:
        self.snapshot = Listed(set(self.actual), expiring=set(self.expiring))

    @precondition(lambda self: self.snapshot is not None)
    @rule()
    def hear_listing(self) -> None:
        assert self.snapshot is not None
        if self.listing_epoch == self.reconciler.epoch:
            self.reconciler.compare(self.snapshot, 0.0)
        self.listing_epoch = self.snapshot = None

    @invariant()
    def what_is_said_to_hold_holds(self) -> None:
        if not self.unnoticed_loss:
            held = {
                subject
                for subject in SUBJECTS
                if self.reconciler.in_force_since(subject) is not None
            }
            assert held <= self.actual & self.wanted

    @invariant()
    def new_bans_always_find_a_slot(self) -> None:
        jobs = self.sent + self.answered
        assert len(jobs) <= SLOTS
        assert sum(job.is_restore for job in jobs) < SLOTS

    def teardown(self) -> None:
        """After all events are over, one listing and the jobs that follow make all things right."""
        if self.unnoticed_loss:
            self.notice_loss()
        self.listing_epoch = self.snapshot = None
        self.settle()
        self.ask_for_listing()
        self.take_snapshot()
        self.hear_listing()
        self.settle()
        assert (self.actual, self.expiring) == (self.wanted, set())
        assert (self.reconciler.in_force(), self.reconciler.pending()) == (len(self.wanted), 0)

    def carry_out(self, job: Job) -> None:
        (self.actual.add if job.add else self.actual.discard)(job.subject)
        self.expiring.discard(job.subject)

    def settle(self) -> None:
        self.start()
        while self.sent or self.answered:
            if self.sent:
                self.work(0)
            self.hear_answer(0)
            self.start()


TestReconciler = ReconcilerMachine.TestCase
TestReconciler.settings = settings(max_examples=60, stateful_step_count=60)

"""The enforcer's plan against a simulated firewall that works late and forgets without a word.

Whatever the order of decisions, jobs, losses and listings: what is said to hold does hold, and when
all has settled the firewall holds exactly what is wanted.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mailbanned.firewall import Listed
from mailbanned.firewall.plan import SLOTS, Job, Plan
from mailbanned.model import Subject
from tests.firewall.support import subjects

SUBJECTS = subjects(5)
any_subject = st.sampled_from(SUBJECTS)
any_index = st.integers(0, SLOTS - 1)


class PlanMachine(RuleBasedStateMachine):
    """Decisions and events in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = Plan()
        self.wanted: set[Subject] = set()
        self.actual = set(SUBJECTS[:2])  # leftovers of an earlier run
        self.sent: list[Job] = []  # the firewall has not worked on these
        self.answered: list[Job] = []  # it has, and the answer is under way
        self.listing_epoch: int | None = None
        self.snapshot: set[Subject] | None = None
        self.unnoticed_loss = False

    @rule(subject=any_subject)
    def want(self, subject: Subject) -> None:
        self.wanted.add(subject)
        self.plan.want(subject)

    @rule(subject=any_subject)
    def unwant(self, subject: Subject) -> None:
        self.wanted.discard(subject)
        self.plan.unwant(subject)

    @rule(some=st.lists(any_subject, max_size=3))
    def restore(self, some: list[Subject]) -> None:
        self.wanted.update(some)
        self.plan.restore(some)

    @rule()
    def start(self) -> None:
        if job := self.plan.next():
            assert job.subject not in {other.subject for other in self.sent + self.answered}
            self.sent.append(job)

    @precondition(lambda self: self.sent)
    @rule(index=any_index)
    def work(self, index: int) -> None:
        job = self.sent.pop(index % len(self.sent))
        (self.actual.add if job.add else self.actual.discard)(job.subject)
        self.answered.append(job)

    @precondition(lambda self: self.answered)
    @rule(index=any_index)
    def hear_answer(self, index: int) -> None:
        job = self.answered.pop(index % len(self.answered))
        assert self.plan.done(job) <= job.add

    @precondition(lambda self: self.sent)
    @rule(index=any_index, happened=st.booleans())
    def break_down(self, index: int, happened: bool) -> None:
        """A job fails, done or not; the enforcer begins a new epoch if that is news."""
        job = self.sent.pop(index % len(self.sent))
        if happened:
            (self.actual.add if job.add else self.actual.discard)(job.subject)
        if self.plan.failed(job):
            self.plan.new_epoch()

    @rule()
    def lose(self) -> None:
        self.actual.clear()
        self.unnoticed_loss = True

    @precondition(lambda self: self.unnoticed_loss)
    @rule()
    def notice_loss(self) -> None:
        self.plan.new_epoch()
        self.unnoticed_loss = False

    @precondition(lambda self: self.listing_epoch is None)
    @rule()
    def ask_for_listing(self) -> None:
        self.listing_epoch = self.plan.epoch
        self.snapshot = None
        self.plan.begin_listing()

    @precondition(lambda self: self.listing_epoch is not None and self.snapshot is None)
    @rule()
    def take_snapshot(self) -> None:
        self.snapshot = set(self.actual)

    @precondition(lambda self: self.snapshot is not None)
    @rule()
    def hear_listing(self) -> None:
        assert self.snapshot is not None
        if self.listing_epoch == self.plan.epoch:
            self.plan.compare(Listed(self.snapshot))
        self.listing_epoch = self.snapshot = None

    @invariant()
    def what_is_said_to_hold_holds(self) -> None:
        if not self.unnoticed_loss:
            held = {subject for subject in SUBJECTS if self.plan.holds(subject)}
            assert held <= self.actual & self.wanted

    @invariant()
    def new_bans_always_find_a_slot(self) -> None:
        jobs = self.sent + self.answered
        assert len(jobs) <= SLOTS
        assert sum(job.bulk for job in jobs) < SLOTS

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
        assert self.actual == self.wanted
        assert (self.plan.in_force(), self.plan.pending()) == (len(self.wanted), 0)

    def settle(self) -> None:
        self.start()
        while self.sent or self.answered:
            if self.sent:
                self.work(0)
            self.hear_answer(0)
            self.start()


TestPlan = PlanMachine.TestCase
TestPlan.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_new_bans_go_first_and_the_newest_are_restored_first() -> None:
    """A new ban overtakes restored ones, which come newest first, before removals."""
    old, leftover, new = subjects(3, net=1), subjects(1, net=2), subjects(2, net=3)
    plan = Plan()
    plan.restore(old)
    plan.begin_listing()
    plan.compare(Listed(set(leftover)))
    order: list[Subject] = []
    for ban in (new[0], None, None, new[1], None, None):
        if ban:
            plan.want(ban)
        job = plan.next()
        assert job
        order.append(job.subject)
        plan.done(job)
    assert order == [new[0], old[2], old[1], new[1], old[0], leftover[0]]


def test_a_refused_ban_is_neither_in_force_nor_pending_nor_tried_again() -> None:
    """Until somebody wants it once more, a refused ban is left alone."""
    [subject] = subjects(1)
    plan = Plan()
    plan.want(subject)
    for _ in range(2):
        job = plan.next()
        assert job
        plan.refused(job)
        plan.begin_listing()
        assert plan.compare(Listed(set())).missing == 0
        assert (plan.in_force(), plan.pending(), plan.next()) == (0, 0, None)
        plan.want(subject)


def test_a_rule_that_is_only_partly_there_is_put_again_or_taken_away() -> None:
    """A partial rule never counts as a ban in force."""
    wanted, unwanted = subjects(2)
    plan = Plan()
    plan.restore([wanted])
    plan.begin_listing()
    comparison = plan.compare(Listed(set(), {wanted, unwanted}))
    assert (comparison.missing, comparison.surplus, plan.in_force()) == (1, 1, 0)
    jobs = [plan.next(), plan.next()]
    assert [(job.subject, job.add) for job in jobs if job] == [(wanted, True), (unwanted, False)]


def _start(plan: Plan) -> Job:
    job = plan.next()
    assert job
    return job


def _holding(subject: Subject) -> Plan:
    """A plan that knows one ban to be in force."""
    plan = Plan()
    plan.want(subject)
    plan.done(_start(plan))
    assert plan.holds(subject)
    return plan


def test_a_listing_older_than_a_removal_does_not_bring_the_ban_back() -> None:
    """What was listed before a removal ended says nothing, however late the listing is heard."""
    [subject] = subjects(1)
    for asked_before_start in (True, False):
        plan = _holding(subject)
        if asked_before_start:
            plan.begin_listing()
        plan.unwant(subject)
        removal = _start(plan)
        if not asked_before_start:
            plan.begin_listing()
        plan.done(removal)
        plan.want(subject)
        plan.compare(Listed({subject}))
        assert not plan.holds(subject)
        assert _start(plan).add


def test_a_listing_older_than_a_new_ban_does_not_take_it_for_vanished() -> None:
    """A ban put while the rules were being listed is in force although it is not listed."""
    [subject] = subjects(1)
    for asked_before_start in (True, False):
        plan = Plan()
        if asked_before_start:
            plan.begin_listing()
        plan.want(subject)
        job = _start(plan)
        if not asked_before_start:
            plan.begin_listing()
        plan.done(job)
        assert plan.compare(Listed(set())).vanished == 0
        assert plan.holds(subject)


def test_a_removal_that_fails_late_is_tried_again_at_once() -> None:
    """A removal of an earlier epoch that failed does not wait for the next listing."""
    [subject] = subjects(1)
    plan = _holding(subject)
    plan.unwant(subject)
    removal = _start(plan)
    plan.new_epoch()
    plan.begin_listing()
    plan.compare(Listed({subject}))
    assert not plan.failed(removal)
    assert not _start(plan).add


def test_a_ban_put_before_a_loss_is_not_in_force_although_it_succeeded() -> None:
    """A success of an earlier epoch counts for nothing, and the ban is put once more."""
    [subject] = subjects(1)
    plan = Plan()
    plan.want(subject)
    job = _start(plan)
    plan.new_epoch()
    assert not plan.done(job)
    assert (plan.in_force(), plan.pending()) == (0, 1)
    assert plan.done(_start(plan))

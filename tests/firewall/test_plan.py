"""The enforcer's plan, case by case: what goes first, what counts, and what is tried again."""

from __future__ import annotations

from mailbanned.address import Subject
from mailbanned.firewall import Listed
from mailbanned.firewall.reconciler import Job, Plan
from tests.firewall.support import subjects


def test_new_bans_go_first_and_the_newest_are_restored_first() -> None:
    """A new ban overtakes restored ones, which come newest first, before removals."""
    old, leftover, new = subjects(3, net=1), subjects(1, net=2), subjects(2, net=3)
    plan = Plan(4, 3)
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
    plan = Plan(4, 3)
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
    plan = Plan(4, 3)
    plan.restore([wanted])
    plan.begin_listing()
    comparison = plan.compare(Listed(set(), {wanted, unwanted}))
    assert (comparison.missing, comparison.surplus, plan.in_force()) == (1, 1, 0)
    jobs = [plan.next(), plan.next()]
    assert [(job.subject, job.add) for job in jobs if job] == [(wanted, True), (unwanted, False)]


def test_a_rule_that_is_being_taken_is_not_in_force() -> None:
    """A ban wanted once more while its rule is taken is pending until the rule is put again."""
    [subject] = subjects(1)
    plan = Plan(4, 3)
    plan.want(subject)
    plan.done(_start(plan))
    plan.unwant(subject)
    removal = _start(plan)
    plan.want(subject)
    assert (plan.in_force(), plan.pending()) == (0, 1)
    plan.done(removal)
    plan.done(_start(plan))
    assert (plan.in_force(), plan.pending()) == (1, 0)


def _start(plan: Plan) -> Job:
    job = plan.next()
    assert job
    return job


def _holding(subject: Subject) -> Plan:
    """A plan that knows one ban to be in force."""
    plan = Plan(4, 3)
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
        plan = Plan(4, 3)
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
    plan = Plan(4, 3)
    plan.want(subject)
    job = _start(plan)
    plan.new_epoch()
    assert not plan.done(job)
    assert (plan.in_force(), plan.pending()) == (0, 1)
    assert plan.done(_start(plan))

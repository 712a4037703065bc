"""The reconciler, case by case: what goes first, what counts, and what is retried."""

from __future__ import annotations

from mailbanned.address import Subject
from mailbanned.firewall import Listed
from mailbanned.firewall.enforced_ban import Job
from mailbanned.firewall.reconciler import Reconciler
from tests.firewall.support import subjects


def test_new_bans_go_first_and_the_newest_are_restored_first() -> None:
    """A new ban overtakes restored ones, which come newest first, before removals."""
    old, leftover, new = subjects(3, net=1), subjects(1, net=2), subjects(2, net=3)
    reconciler = Reconciler(4, 3)
    reconciler.restore(old)
    reconciler.begin_listing()
    reconciler.compare(Listed(set(leftover)), 0.0)
    order: list[Subject] = []
    for ban in (new[0], None, None, new[1], None, None):
        if ban:
            reconciler.want(ban)
        job = reconciler.next_job()
        assert job
        order.append(job.subject)
        reconciler.succeeded(job, 0.0)
    assert order == [new[0], old[2], old[1], new[1], old[0], leftover[0]]


def test_a_refused_ban_is_neither_in_force_nor_pending_nor_tried_again() -> None:
    """Until it is wanted once more, a refused ban is left alone."""
    [subject] = subjects(1)
    reconciler = Reconciler(4, 3)
    reconciler.want(subject)
    for _ in range(2):
        job = reconciler.next_job()
        assert job
        reconciler.refused(job)
        reconciler.begin_listing()
        assert reconciler.compare(Listed(set()), 0.0).to_restore == 0
        assert (reconciler.in_force(), reconciler.pending(), reconciler.next_job()) == (0, 0, None)
        reconciler.want(subject)


def test_a_rule_that_is_only_partly_there_is_put_again_or_taken_away() -> None:
    """A partial rule never counts as a ban in force."""
    wanted, unwanted = subjects(2)
    reconciler = Reconciler(4, 3)
    reconciler.restore([wanted])
    reconciler.begin_listing()
    diff = reconciler.compare(Listed(set(), {wanted, unwanted}), 0.0)
    assert (diff.to_restore, diff.to_remove, reconciler.in_force()) == (1, 1, 0)
    jobs = [reconciler.next_job(), reconciler.next_job()]
    assert [(job.subject, job.add) for job in jobs if job] == [(wanted, True), (unwanted, False)]


def test_a_rule_that_is_being_taken_is_not_in_force() -> None:
    """A ban wanted once more while its rule is taken is pending until the rule is put again."""
    [subject] = subjects(1)
    reconciler = Reconciler(4, 3)
    reconciler.want(subject)
    reconciler.succeeded(_start(reconciler), 0.0)
    reconciler.unwant(subject)
    removal = _start(reconciler)
    reconciler.want(subject)
    assert (reconciler.in_force(), reconciler.pending()) == (0, 1)
    reconciler.succeeded(removal, 0.0)
    reconciler.succeeded(_start(reconciler), 0.0)
    assert (reconciler.in_force(), reconciler.pending()) == (1, 0)


def _start(reconciler: Reconciler) -> Job:
    job = reconciler.next_job()
    assert job
    return job


def _holding(subject: Subject) -> Reconciler:
    """A reconciler that knows one ban to be in force."""
    reconciler = Reconciler(4, 3)
    reconciler.want(subject)
    reconciler.succeeded(_start(reconciler), 0.0)
    assert reconciler.in_force_since(subject) is not None
    return reconciler


def test_nothing_is_in_force_after_a_loss_until_it_is_listed() -> None:
    """The time since which a ban is in force begins again when its rule is found again."""
    [subject] = subjects(1)
    reconciler = _holding(subject)
    reconciler.new_epoch()
    assert reconciler.in_force_since(subject) is None
    assert (reconciler.in_force(), reconciler.pending()) == (0, 1)
    reconciler.begin_listing()
    diff = reconciler.compare(Listed({subject}), 7.0)
    assert [record.subject for record in diff.now_in_force] == [subject]
    assert reconciler.in_force_since(subject) == 7.0
    reconciler.begin_listing()
    reconciler.compare(Listed({subject}, expiring={subject}), 8.0)
    assert reconciler.in_force_since(subject) == 7.0


def test_a_listing_older_than_a_removal_does_not_bring_the_ban_back() -> None:
    """What was listed before a removal ended says nothing, however late the listing is heard."""
    [subject] = subjects(1)
    for asked_before_start in (True, False):
        reconciler = _holding(subject)
        if asked_before_start:
            reconciler.begin_listing()
        reconciler.unwant(subject)
        removal = _start(reconciler)
        if not asked_before_start:
            reconciler.begin_listing()
        reconciler.succeeded(removal, 0.0)
        reconciler.want(subject)
        reconciler.compare(Listed({subject}), 0.0)
        assert reconciler.in_force_since(subject) is None
        assert _start(reconciler).add


def test_a_listing_older_than_a_new_ban_does_not_take_it_for_vanished() -> None:
    """A ban put while the rules were being listed is in force although it is not listed."""
    [subject] = subjects(1)
    for asked_before_start in (True, False):
        reconciler = Reconciler(4, 3)
        if asked_before_start:
            reconciler.begin_listing()
        reconciler.want(subject)
        job = _start(reconciler)
        if not asked_before_start:
            reconciler.begin_listing()
        reconciler.succeeded(job, 0.0)
        assert reconciler.compare(Listed(set()), 0.0).vanished == 0
        assert reconciler.in_force_since(subject) is not None


def test_a_removal_that_fails_late_is_tried_again_at_once() -> None:
    """A removal of an earlier epoch that failed does not wait for the next listing."""
    [subject] = subjects(1)
    reconciler = _holding(subject)
    reconciler.unwant(subject)
    removal = _start(reconciler)
    reconciler.new_epoch()
    reconciler.begin_listing()
    reconciler.compare(Listed({subject}), 0.0)
    assert not reconciler.failed(removal)
    assert not _start(reconciler).add


def test_a_ban_put_before_a_loss_is_not_in_force_although_it_succeeded() -> None:
    """A success of an earlier epoch counts for nothing, and the ban is put once more."""
    [subject] = subjects(1)
    reconciler = Reconciler(4, 3)
    reconciler.want(subject)
    job = _start(reconciler)
    reconciler.new_epoch()
    assert not reconciler.succeeded(job, 0.0)
    assert (reconciler.in_force(), reconciler.pending()) == (0, 1)
    assert reconciler.succeeded(_start(reconciler), 0.0)

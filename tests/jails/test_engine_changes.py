"""What changes an engine from outside: reloads, restarts, and people."""

from __future__ import annotations

from mailbanned.address import Subject
from mailbanned.jails import MANUAL, Engine, RestoredState
from mailbanned.model import Ban, Unban
from tests.jails.support import HOUR, ONE, OTHER, bans, fail, net, question, rules, subject


def test_a_reload_keeps_counts_and_bans() -> None:
    """New rules find the old counts and bans: the next failure counts on, a ban ends as said."""
    engine = Engine([rules("a"), rules("b", maxretry=1)])
    (ban,) = bans(fail(engine, 1.0, 2.0))
    assert engine.configure([rules("a", bantime=50.0), rules("b", bantime=1.0)], now=2.5) == []
    (new,) = bans(fail(engine, 3.0))
    assert (new.jail, new.failures, new.until) == ("a", 3, 53.0)
    assert engine.ledger.get(subject(), "b") == ban
    assert engine.jails["a"].failures_total == 3


def test_a_reload_lowers_maxretry() -> None:
    """With a lower maxretry the next failure brings the ban; the reload itself bans nobody."""
    engine = Engine([rules(maxretry=5)])
    fail(engine, 1.0, 2.0, 3.0)
    assert engine.configure([rules(maxretry=2)], now=4.0) == []
    assert list(engine.ledger) == []
    assert len(fail(engine, 5.0)) == 1


def test_a_removed_jail_keeps_its_bans() -> None:
    """Bans of a jail that is no longer configured hold until they end; it counts no more."""
    engine = Engine([rules("gone", maxretry=1)])
    fail(engine, 1.0)
    assert engine.configure([rules("new")], now=2.0) == []
    assert subject() in engine.ledger
    assert fail(engine, 3.0, address=OTHER) == []
    (unban,) = engine.expire(1.0 + 10 * HOUR)
    assert unban.jail == "gone"


def test_a_reload_lifts_the_newly_ignored() -> None:
    """Whoever is on the ignore list now is let in again, and nobody else."""
    engine = Engine([rules(maxretry=1)])
    fail(engine, 1.0)
    fail(engine, 1.0, address=OTHER)
    lifted = engine.configure([rules(maxretry=1, ignore=(net(ONE),))], now=2.0)
    assert lifted == [Unban("sshd", subject(ONE), 2.0, "ignored now", is_last=True)]
    assert engine.ledger.subjects() == [subject(OTHER)]


def test_a_new_own_address_is_let_in_again() -> None:
    """A ban that would lock out an address which this host has now is lifted."""
    engine = Engine([rules(maxretry=1)])
    fail(engine, 1.0)
    assert [unban.subject for unban in engine.configure([rules()], [net(ONE)], 2.0)] == [subject()]


def test_bans_of_no_jail_follow_the_default_list() -> None:
    """Bans by hand and of removed jails are lifted by the default ignore list and own addresses."""
    engine = Engine([rules("gone", maxretry=1)])
    fail(engine, 1.0)
    engine.ban(net(OTHER), 1.0, None)
    engine.ban(net("192.0.2.3"), 1.0, None)
    lifted = engine.configure([rules()], [net(ONE)], 2.0, ignore=[net(OTHER)])
    assert [(unban.jail, unban.subject) for unban in lifted] == [
        ("gone", subject(ONE)),
        (MANUAL, subject(OTHER)),
    ]
    assert engine.ledger.subjects() == [subject("192.0.2.3")]


def test_only_jails_that_ignore_let_go() -> None:
    """A jail that does not ignore the address keeps its ban, and so the subject stays out."""
    engine = Engine([rules("a", maxretry=1), rules("b", maxretry=1)])
    fail(engine, 1.0)
    (unban,) = engine.configure([rules("a", ignore=(net(ONE),)), rules("b")], now=2.0)
    assert (unban.jail, unban.is_last) == ("a", False)
    assert subject() in engine.ledger


def test_restore_takes_up_bans_and_counts() -> None:
    """After a restart bans keep their end, and failures count together with new ones."""
    ban = Ban("sshd", subject(OTHER), 10.0, 500.0, 3)
    saved = RestoredState([ban], {("sshd", subject(ONE)): (100.0, 110.0)})
    engine = Engine([rules()])
    engine.restore(saved, now=120.0)
    assert list(engine.ledger) == [ban]
    (new,) = bans(fail(engine, 130.0))
    assert (new.subject, new.failures) == (subject(ONE), 3)
    assert [unban.subject for unban in engine.expire(500.0)] == [subject(OTHER)]


def test_restore_leaves_out_what_has_ended() -> None:
    """Ended bans, failures older than findtime, and counts of unknown jails stay out."""
    saved = RestoredState(
        [Ban("sshd", subject(), 0.0, 5000.0, 3), Ban("sshd", subject(OTHER), 0.0, None, 3)],
        {("sshd", subject()): (1400.0, 1500.0), ("gone", subject()): (4999.0,)},
    )
    engine = Engine([rules()])
    engine.restore(saved, now=1400.0 + HOUR)
    assert engine.ledger.subjects() == [subject(OTHER)]
    assert engine.subjects_in([net("0.0.0.0/0")]) == [subject(OTHER), subject()]
    assert engine.jails["sshd"].windows.times(subject()) == (1500.0,)


def test_what_changed_is_told_once() -> None:
    """Changed windows are told with their times, spent ones as empty, and each only once."""
    engine = Engine([rules()])
    fail(engine, 1.0, 2.0)
    fail(engine, 2.0, address=OTHER)
    assert engine.changed_windows() == {
        ("sshd", subject(ONE)): (1.0, 2.0),
        ("sshd", subject(OTHER)): (2.0,),
    }
    assert engine.changed_windows() == {}
    fail(engine, 3.0)
    assert engine.changed_windows() == {("sshd", subject(ONE)): ()}


def test_saved_changes_restore_the_same_engine() -> None:
    """What changed_windows tells is enough to go on elsewhere exactly as here."""
    here, there = Engine([rules()]), Engine([rules()])
    fail(here, 1.0, 2.0)
    there.restore(RestoredState(list(here.ledger), here.changed_windows()), now=2.0)
    assert bans(fail(there, 3.0)) == bans(fail(here, 3.0))


def test_a_jail_that_becomes_strict_forgets_what_it_had_counted() -> None:
    """With maxretry = 1 from now on, the next failure bans, and nothing counts twice."""
    engine = Engine([rules(maxretry=3)])
    fail(engine, 1.0, 2.0)
    engine.configure([rules(maxretry=1)])
    engine.changed_windows()
    (ban,) = bans(fail(engine, 3.0))
    assert ban.failures == 1
    assert engine.changed_windows() == {("sshd", subject()): ()}


def test_a_ban_at_the_first_failure_leaves_nothing_to_be_saved() -> None:
    """With maxretry = 1 no window is ever written down."""
    engine = Engine([rules(maxretry=1)])
    assert len(bans(fail(engine, 1.0))) == 1
    assert engine.changed_windows() == {}


def test_unban_lifts_and_forgets() -> None:
    """A lifted subject starts anew in every jail: no ban holds, and no old failure counts."""
    engine = Engine([rules("a", maxretry=1), rules("b", maxretry=3)])
    fail(engine, 1.0, 2.0)
    engine.changed_windows()
    assert engine.unban([subject()], 3.0) == [Unban("a", subject(), 3.0, "by hand", is_last=True)]
    assert subject() not in engine.ledger
    assert engine.changed_windows() == {("b", subject()): ()}
    assert [ban.jail for ban in bans(fail(engine, 4.0, 5.0))] == ["a"]


def test_unban_of_one_jail_leaves_the_others() -> None:
    """With a jail named, only its ban and its counts go."""
    engine = Engine([rules("a", maxretry=1), rules("b", maxretry=1), rules("c", maxretry=3)])
    fail(engine, 1.0, 2.0)
    (unban,) = engine.unban([subject()], 3.0, "a")
    assert (unban.jail, unban.is_last) == ("a", False)
    assert subject() in engine.ledger
    assert [ban.jail for ban in bans(fail(engine, 4.0))] == ["a", "c"]


def test_unban_of_nobody() -> None:
    """Lifting what is not there lifts nothing."""
    assert Engine([rules()]).unban([subject()], 1.0) == []
    assert Engine([rules()]).unban([subject()], 1.0, "sshd") == []


def test_bans_by_hand() -> None:
    """A ban by hand holds for the whole network until its end, and failures do not touch it."""
    engine = Engine([rules()])
    ban = engine.ban(net("198.51.100.0/24"), 1.0, 100.0, reason="abuse report")
    assert ban == Ban(MANUAL, Subject("198.51.100.0/24"), 1.0, 100.0, 0, None, "abuse report")
    assert list(engine.ledger) == [ban]
    (unban,) = engine.expire(100.0)
    assert (unban.jail, unban.subject, unban.is_last) == (MANUAL, "198.51.100.0/24", True)


def test_a_ban_by_hand_in_a_jail() -> None:
    """A ban by hand in a jail is that jail's ban, counts as one, and replaces the one it had."""
    engine = Engine([rules(maxretry=1)])
    fail(engine, 1.0)
    ban = engine.ban(net(ONE), 2.0, None, jail="sshd")
    assert engine.ledger.bans_of(subject()) == (ban,)
    assert engine.jails["sshd"].banned_total == 2
    assert engine.expire(1e9) == []


def test_ignored_says_what_a_ban_would_touch() -> None:
    """The ignored network that a ban by hand would touch is named: of any jail, or a given one."""
    engine = Engine([rules("a"), rules("b", ignore=(net("198.51.100.0/24"),))])
    assert engine.ignored(net("198.51.100.7")) == net("198.51.100.0/24")
    assert engine.ignored(net("198.51.0.0/16")) == net("198.51.100.0/24")
    assert engine.ignored(net("127.0.0.1")) is not None
    assert engine.ignored(net(ONE)) is None
    assert engine.ignored(net(ONE), also=[net("192.0.2.0/24")]) == net("192.0.2.0/24")


def test_subjects_in() -> None:
    """Known is who is banned or has failures on record, each once, within what is asked for."""
    engine = Engine([rules("a"), rules("b", maxretry=1)])
    fail(engine, 1.0)
    engine.ban(net(OTHER), 1.0, None)
    assert sorted(engine.subjects_in([net("0.0.0.0/0")])) == [subject(ONE), subject(OTHER)]
    assert engine.subjects_in([net(ONE), net(ONE), net("::/0")]) == [subject(ONE)]


def test_an_open_question_meets_the_new_rules() -> None:
    """An answer that comes after a reload counts by the new ignore list."""
    engine = Engine([rules(maxretry=1, unknown_accounts=True)])
    asked = question(fail(engine, 1.0))
    engine.configure([rules(maxretry=1, unknown_accounts=True, ignore=(net(ONE),))], now=2.0)
    assert engine.resolve(asked, exists=False, now=3.0) is None

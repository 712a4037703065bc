"""The engine: when failures become bans, and when they do not."""

from __future__ import annotations

from mailbanned.jails import Engine, SeenWhileBanned
from mailbanned.model import Ban
from tests.jails.support import HOUR, ONE, OTHER, bans, fail, failure, net, rules, subject


def test_the_ban_comes_with_the_failure_that_reaches_maxretry() -> None:
    """Two of three failures are forgiven; the third brings the ban, with all that is known."""
    engine = Engine([rules()])
    assert fail(engine, 100.0, 200.0) == []
    (ban,) = engine.observe(
        "log", failure(user="bob", rule="f/auth"), 300.0, 301.0, read_monotonic=7.5
    )
    assert ban == Ban("sshd", subject(), 300.0, 300.0 + 10 * HOUR, 3, "bob", "f/auth", 7.5)
    assert list(engine.ledger) == [ban]


def test_maxretry_one_strikes_at_once() -> None:
    """With maxretry 1 the first failure brings the ban."""
    assert len(bans(fail(Engine([rules(maxretry=1)]), 100.0))) == 1


def test_old_failures_do_not_count() -> None:
    """A failure exactly findtime before the newest one no longer counts, a younger one does."""
    engine = Engine([rules()])
    assert fail(engine, 0.0, 100.0, HOUR) == []
    assert len(fail(engine, HOUR + 50.0)) == 1


def test_subjects_are_counted_apart() -> None:
    """Failures of one address bring no ban of another."""
    engine = Engine([rules()])
    fail(engine, 1.0, 2.0)
    assert fail(engine, 3.0, address=OTHER) == []
    assert [ban.subject for ban in bans(fail(engine, 4.0))] == [subject(ONE)]


def test_ipv6_is_counted_by_prefix() -> None:
    """Addresses of one /64 fail together and are banned together; ipv6_prefix sets the size."""
    engine = Engine([rules("wide"), rules("narrow", ipv6_prefix=128)])
    decisions = [
        one
        for number in range(3)
        for one in bans(fail(engine, float(number), address=f"2001:db8::{number}"))
    ]
    assert [(ban.jail, ban.subject) for ban in decisions] == [("wide", "2001:db8::/64")]


def test_permanent() -> None:
    """A bantime of None makes a ban without end."""
    engine = Engine([rules(maxretry=1, bantime=None)])
    (ban,) = bans(fail(engine, 1.0))
    assert ban.until is None
    assert engine.expire(1e12) == []


def test_jails_hear_only_their_source_and_filter() -> None:
    """A failure counts in every jail of its source and filter, and in no other."""
    engine = Engine(
        [
            rules("a", maxretry=1),
            rules("b", maxretry=1),
            rules("other-filter", maxretry=1, filter="g"),
            rules("other-source", maxretry=1, source="elsewhere"),
        ]
    )
    assert [ban.jail for ban in bans(fail(engine, 1.0))] == ["a", "b"]
    assert engine.observe("nowhere", failure(), 1.0, 1.0) == []
    assert engine.observe("log", failure(rule="unknown/p"), 1.0, 1.0) == []


def test_two_jails_keep_a_subject_until_the_later_end() -> None:
    """A subject banned by two jails is out until the second ban ends; only that one is the last."""
    engine = Engine([rules("short", maxretry=1, bantime=100.0), rules("long", maxretry=1)])
    assert len(bans(fail(engine, 0.0))) == 2
    (first,) = engine.expire(100.0)
    assert (first.jail, first.is_last) == ("short", False)
    assert subject() in engine.ledger
    (second,) = engine.expire(10 * HOUR)
    assert (second.jail, second.is_last) == ("long", True)
    assert subject() not in engine.ledger


def test_a_banned_subject_neither_prolongs_nor_repeats_its_ban() -> None:
    """What still arrives from a banned subject changes nothing, and is no head start afterwards."""
    engine = Engine([rules(bantime=100.0)])
    (ban,) = bans(fail(engine, 1.0, 2.0, 3.0))
    assert fail(engine, 4.0, 5.0, 6.0, 50.0, 102.0) == []
    assert engine.ledger.get(subject(), "sshd") == ban
    assert len(engine.expire(103.0)) == 1
    assert fail(engine, 104.0, 105.0) == []
    assert len(fail(engine, 106.0)) == 1


def test_a_ban_in_one_jail_does_not_stop_another_from_counting() -> None:
    """The strict jail's short ban does not keep the lenient one from reaching its own."""
    engine = Engine([rules("strict", maxretry=1, bantime=100.0), rules("lenient")])
    assert [ban.jail for ban in bans(fail(engine, 1.0, 2.0, 3.0))] == ["strict", "lenient"]


def test_caught_up_lines_count_at_their_stamp() -> None:
    """An old line counts when it was written: its ban starts then and ends accordingly."""
    engine = Engine([rules()])
    (ban,) = bans(fail(engine, 1000.0, 1010.0, 1020.0, now=1500.0))
    assert (ban.since, ban.until) == (1020.0, 1020.0 + 10 * HOUR)
    assert ban.read_monotonic is None


def test_caught_up_lines_older_than_findtime_do_not_count() -> None:
    """Lines that lie findtime or more before now are seen, but start nothing."""
    engine = Engine([rules(maxretry=2)])
    assert fail(engine, 1000.0, 1001.0, now=1001.0 + HOUR) == []
    assert engine.changed_windows() == {}
    assert len(fail(engine, 1002.0, 1003.0, now=1001.0 + HOUR)) == 1


def test_a_ban_that_would_be_over_is_not_entered() -> None:
    """Catching up brings no ban that has ended meanwhile; its failures are spent."""
    engine = Engine([rules(bantime=100.0)])
    assert fail(engine, 1000.0, 1001.0, 1002.0, now=1102.0) == []
    assert list(engine.ledger) == []
    assert fail(engine, 1103.0, 1104.0) == []
    assert len(fail(engine, 1105.0)) == 1


def test_ignored_addresses_are_never_counted() -> None:
    """Listed addresses, networks and loopback lead to no ban, however often they fail."""
    engine = Engine([rules(maxretry=1, ignore=(net("192.0.2.0/30"),))])
    for address in (ONE, OTHER, "127.0.0.1", "::1"):
        assert fail(engine, 1.0, 2.0, address=address) == []
    assert len(fail(engine, 3.0, address="192.0.2.4")) == 1
    assert engine.jails["sshd"].ignored_total == 8


def test_own_addresses_are_ignored_where_wished() -> None:
    """This host's own addresses are ignored by the jails with ignore_own, and by no other."""
    engine = Engine(
        [rules("careful", maxretry=1), rules("bold", maxretry=1, ignore_own_addresses=False)],
        own_addresses=[net(ONE)],
    )
    assert [ban.jail for ban in bans(fail(engine, 1.0))] == ["bold"]


def test_beside_an_ignored_neighbour_an_attacker_is_banned_alone() -> None:
    """In an IPv6 /64 with an ignored address, others are counted and banned one by one."""
    engine = Engine([rules(maxretry=1, ignore=(net("2001:db8::7"),))])
    (ban,) = bans(fail(engine, 1.0, address="2001:db8::8"))
    assert ban.subject == "2001:db8::8/128"
    assert fail(engine, 2.0, address="2001:db8::7") == []


def test_totals() -> None:
    """A jail tells how many failures it has seen, how many bans it has made, what it ignored."""
    engine = Engine([rules(ignore=(net(OTHER),))])
    fail(engine, 1.0, 2.0, 3.0, 4.0)
    fail(engine, 5.0, address=OTHER)
    jail = engine.jails["sshd"]
    assert (jail.failures_total, jail.banned_total, jail.ignored_total) == (4, 1, 1)


def test_a_failure_of_a_banned_subject_is_reported_once() -> None:
    """Live failures are, whichever jails count them; the failure that leads to the ban is not."""
    engine = Engine([rules("a", maxretry=1), rules("b")])
    (ban,) = engine.observe("log", failure(), 1.0, 1.0, read_monotonic=1.0)
    assert isinstance(ban, Ban)
    assert engine.observe("log", failure(), 2.0, 2.0, read_monotonic=2.0) == [
        SeenWhileBanned(subject(), failure(), 2.0)
    ]
    assert engine.observe("other", failure(), 2.0, 2.0, read_monotonic=2.0) == []

"""The detector and its witnesses: whose failures are an outage, and for how long."""

from __future__ import annotations

import pytest

from tests.jails.test_outage import Host

DAY = 86400.0


def test_known_clients_that_fail_together_are_an_outage() -> None:
    """The third distinct client that logged in before opens; it reaches back to the first."""
    host = Host()
    host.login("abc", 0.0)
    host.fail("a", 100.0, 110.0)
    host.fail("b", 120.0)
    assert (host.openings, len(host.counted)) == ([], 3)
    host.fail("c", 130.0)
    assert [(one.since, one.until, one.is_new) for one in host.openings] == [(100.0, 190.0, True)]
    assert host.counted == []


def test_only_within_hold() -> None:
    """Failures that lie hold apart are no jump; a little less, and they are."""
    host = Host()
    host.login("abc", 0.0)
    host.fail("a", 100.0)
    host.fail("b", 130.0)
    host.fail("c", 160.0)
    assert host.openings == []
    host.fail("a", 189.9)
    assert [one.since for one in host.openings] == [130.0]


def test_a_jump_reaches_back_no_further_than_hold() -> None:
    """A client that has failed for long does not take its whole past along when others join it."""
    host = Host()
    host.login("abc", 0.0)
    host.fail("a", *(float(at) for at in range(100, 1000, 10)))
    host.fail("b", 995.0)
    host.fail("c", 1000.0)
    assert [one.since for one in host.openings] == [940.0]
    assert host.counted == [("a", float(at)) for at in range(100, 940, 10)]


def test_too_few_witnesses_do_not_keep_it_open() -> None:
    """One client that goes on failing prolongs a jump only while the others' word is fresh."""
    host = Host()
    host.login("abc", 0.0)
    for who in "abc":
        host.fail(who, 100.0)
    host.fail("a", 120.0, 140.0, 159.0, 160.0, 200.0, 218.0, 219.0)
    assert host.counted == [("a", 219.0)]


@pytest.mark.parametrize(("last", "opens"), [(13 * 3600.0, True), (30.1 * DAY, False)])
def test_known_clients_are_forgotten(last: float, opens: bool) -> None:
    """Thirty days after its last login a client is a stranger again."""
    host = Host()
    host.login("abc", 0.0)
    for who in "abc":
        host.fail(who, last)
    assert host.open(last) is opens
    host.login("zzz", last + 1)
    assert host.detector.state(last).known_clients == (4 if opens else 1)


def test_a_forgotten_device_is_no_witness() -> None:
    """Who has only failed for half a day has an old password; after a login he is heard again."""
    host = Host()
    host.login("abc", 0.0)
    host.fail("a", *(at * 600.0 for at in range(1, 80)))
    for who in "abc":
        host.fail(who, 48000.0)
    assert host.openings == []
    host.login("a", 48100.0)
    for who in "abc":
        host.fail(who, 48200.0)
    assert len(host.openings) == 1


def test_fewer_clients_need_fewer_witnesses() -> None:
    """Where two have logged in within a day, two that fail are an outage; one never is."""
    host = Host()
    host.login("c", 0.0)
    host.login("ab", DAY)
    host.fail("a", DAY + 100, DAY + 101, DAY + 102)
    assert host.openings == []
    host.fail("b", DAY + 103)
    assert len(host.openings) == 1
    alone = Host(clients=1)
    alone.login("a", 0.0)
    alone.fail("a", 1.0, 2.0, 3.0)
    assert alone.openings == []


def test_the_only_client_told_of_a_temporary_failure() -> None:
    """A server's word to the only client opens, and covers the same event in another's log."""
    host = Host()
    host.login("a", 0.0)
    host.fail("a", 100.0)
    host.refuse("a", 100.2)
    assert host.counted == []
    assert [(one.since, one.reason) for one in host.openings] == [(95.0, "temporary failure")]


def test_the_newest_witnesses_are_heard() -> None:
    """However many have failed already, others that join them prolong the outage."""
    host = Host()
    host.login("abcdef", 0.0)
    for who, at in zip("abcdef", (100.0, 100.0, 100.0, 140.0, 150.0, 165.0), strict=True):
        host.fail(who, at)
    assert (host.open(224.0), host.open(225.0)) == (True, False)


def test_witnesses_out_of_order() -> None:
    """A line that is read late makes nobody's word older; the outage spans all that was heard."""
    host = Host()
    host.login("abc", 0.0)
    host.fail("a", 150.0, 100.0)
    host.fail("b", 165.0)
    host.fail("c", 130.0)
    assert [(one.since, one.until) for one in host.openings] == [(105.0, 225.0)]


def test_at_one_moment_the_order_of_telling_decides() -> None:
    """Lines that arrive together count at one time: only those before a login are refuted."""
    host = Host()
    host.login("abc", 100.0)
    for who in "ab":
        host.fail(who, 100.0)
    host.login("z", 100.0)
    host.fail("c", 100.0)
    assert host.openings == []
    for who in "ab":
        host.fail(who, 100.0)
    assert len(host.openings) == 1


def test_silence_makes_credible_again() -> None:
    """Who failed once, and came back a day later, is no forgotten device."""
    host = Host()
    host.login("abc", 0.0)
    host.fail("a", 100.0)
    for who in "abc":
        host.fail(who, DAY)
    assert len(host.openings) == 1


def test_clients_of_other_days_do_not_lower_what_is_needed() -> None:
    """Two of three that have logged in today are no outage, however many did so before."""
    host = Host()
    host.login("defg", 0.0)
    host.login("abc", 2 * DAY)
    host.fail("a", 2 * DAY + 1)
    host.fail("b", 2 * DAY + 2)
    assert host.openings == []

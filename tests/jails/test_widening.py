"""Widening: several clients of one network are banned, and the ban falls on the network."""

from __future__ import annotations

from typing import Any

import pytest

from mailbanned.address import Subject
from mailbanned.jails import Engine, RestoredState, SeenWhileBanned
from mailbanned.model import Ban, LoginSucceeded
from tests.jails.support import HOUR, bans, fail, failure, net, question, rules, subject

NETWORK = Subject("192.0.2.0/24")


def wide(**options: Any) -> Engine:
    """A jail that bans at the first failure, and the network at the third ban."""
    return Engine([rules(**{"maxretry": 1, "widen_after": 3, **options})])


def banned(engine: Engine, *hosts: int, at: float = 1.0) -> list[str]:
    """Whom one failure each of these hosts of the network gets banned."""
    found = [bans(fail(engine, at, address=f"192.0.2.{host}")) for host in hosts]
    return [ban.subject for some in found for ban in some]


def test_the_third_ban_falls_on_the_network() -> None:
    """It says why, has the end of a usual ban, and keeps out everybody who is in it."""
    engine = wide()
    assert banned(engine, 1, 2) == ["192.0.2.1/32", "192.0.2.2/32"]
    (ban,) = bans(fail(engine, 5.0, address="192.0.2.3"))
    assert (ban.subject, ban.since, ban.until) == (NETWORK, 5.0, 5.0 + 10 * HOUR)
    assert ban.reason == "f/p (3 clients of the network banned)"
    assert banned(engine, 1, 3, 77, at=6.0) == []
    assert banned(engine, 1) == []
    assert bans(fail(engine, 6.0, address="192.0.3.77"))[0].subject == "192.0.3.77/32"
    assert engine.jails["sshd"].banned_total == 4
    assert engine.jails["sshd"].failures_total == 8


def test_ipv6() -> None:
    """Clients of a /48, each of them a /64."""
    engine = wide()
    for part in (1, 2, 3):
        (ban,) = bans(fail(engine, 1.0, address=f"2001:db8:7:{part}::1"))
    assert ban.subject == "2001:db8:7::/48"


def test_the_lengths_are_options() -> None:
    """Wider networks may be meant, or narrower ones."""
    engine = wide(widen_ipv4=16, widen_ipv6=63)
    for address in ("10.1.1.1", "10.1.2.1", "10.1.255.1"):
        (ban,) = bans(fail(engine, 1.0, address=address))
    assert ban.subject == "10.1.0.0/16"
    for address in ("2001:db8::1", "2001:db8:0:1::1"):
        (ban,) = bans(fail(engine, 1.0, address=address))
    assert ban.subject == "2001:db8:0:1::/64"


def test_off_by_default() -> None:
    """Without the option only those are banned who failed."""
    engine = Engine([rules(maxretry=1)])
    assert len(banned(engine, *range(1, 100))) == 99
    assert NETWORK not in engine.ledger


def test_only_bans_within_findtime_count() -> None:
    """Whoever was banned longer ago does not, and the same client counts once."""
    engine = wide(bantime=10.0)
    banned(engine, 1, at=0.0)
    engine.expire(20.0)
    banned(engine, 1, 2, at=20.0)
    assert NETWORK not in engine.ledger
    engine.expire(20.0 + HOUR)
    assert banned(engine, 3, 4, at=20.0 + HOUR) == ["192.0.2.3/32", "192.0.2.4/32"]
    assert banned(engine, 5, at=21.0 + HOUR) == [NETWORK]


@pytest.mark.parametrize(
    "options",
    [{"ignore": (net("192.0.2.200"),)}, {"ignore": (net("192.0.0.0/16"), net("192.0.2.0/25"))}],
)
def test_a_network_with_an_ignored_address_is_spared(options: dict[str, Any]) -> None:
    """However many of its clients are banned."""
    engine = wide(**options)
    banned(engine, *range(129, 150))
    assert NETWORK not in engine.ledger


def test_own_addresses_are_spared() -> None:
    """This host's own network stays open."""
    engine = Engine([rules(maxretry=1, widen_after=3)], own_addresses=[net("192.0.2.200")])
    banned(engine, *range(1, 20))
    assert NETWORK not in engine.ledger


def test_a_network_with_a_good_client_is_spared() -> None:
    """Who has logged in is not banned for his neighbours; the neighbours are, one by one."""
    engine = wide()
    engine.on_login(LoginSucceeded(1, None, "192.0.2.200", "info", "f/ok"), 0.0)
    assert banned(engine, 1, 2, 3, 4) == [f"192.0.2.{host}/32" for host in (1, 2, 3, 4)]


def test_a_network_that_becomes_ignored_is_let_in() -> None:
    """A new configuration lifts the ban of a network with an address that it ignores."""
    engine = wide()
    banned(engine, 1, 2, 3)
    new = rules(maxretry=1, widen_after=3, ignore=(net("192.0.2.200"),))
    assert [unban.subject for unban in engine.configure([new], now=2.0)] == [NETWORK]


def test_unban_begins_anew() -> None:
    """Who is let in takes the network along, and its earlier bans are forgotten."""
    engine = wide()
    banned(engine, 1, 2, 3)
    lifted = engine.unban(engine.subjects_in([net("192.0.2.3")]), 2.0)
    assert [unban.subject for unban in lifted] == [NETWORK]
    assert banned(engine, 3, 4, at=3.0) == ["192.0.2.3/32", "192.0.2.4/32"]


def test_a_restart_changes_nothing() -> None:
    """Bans of an earlier run count, and a network that was banned stays so."""
    engine = wide()
    held = [Ban("sshd", subject(f"192.0.2.{host}"), 1.0, None, 1) for host in (1, 2)]
    engine.restore(RestoredState(held), 2.0)
    assert banned(engine, 3, at=3.0) == [NETWORK]
    engine = wide()
    engine.restore(RestoredState([Ban("sshd", NETWORK, 1.0, None, 1)]), 2.0)
    assert banned(engine, 3, at=3.0) == []


def test_strict_jails_widen_too() -> None:
    """Answers that were on their way when the network was banned ban nobody any more."""
    engine = wide(unknown_accounts=True)
    asked = [question(fail(engine, 1.0, address=f"192.0.2.{host}")) for host in range(1, 6)]
    answers = [engine.resolve(one, exists=False, now=1.0) for one in asked]
    assert [ban and ban.subject for ban in answers] == [
        "192.0.2.1/32", "192.0.2.2/32", NETWORK, None, None,
    ]  # fmt: skip


def test_failures_from_a_banned_network_are_reported() -> None:
    """They may show that the ban of the network has no effect."""
    engine = wide()
    banned(engine, 1, 2, 3)
    for host, subject_banned in ((2, "192.0.2.2/32"), (77, NETWORK)):
        seen = failure(f"192.0.2.{host}")
        assert engine.observe("log", seen, 9.0, 9.0, 5.0) == [
            SeenWhileBanned(Subject(subject_banned), seen, 5.0)
        ]

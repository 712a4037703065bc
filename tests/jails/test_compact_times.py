"""Singles: a dict of subjects and times in less memory, with room for so many and no more."""

from __future__ import annotations

import tracemalloc
from ipaddress import IPv4Address, IPv6Network, ip_network
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbanned.address import Subject, network_of, overlap
from mailbanned.jails.window import CompactTimes

V4 = st.integers(0, 2**32 - 1).map(lambda number: Subject(f"{IPv4Address(number)}/32"))
V6 = st.integers(2**32, 2**64 - 1).map(lambda number: Subject(str(IPv6Network((number << 64, 64)))))
SUBJECTS = st.one_of(V4, V6)
TIMES = st.floats(0, 1e10)
HELD = st.dictionaries(SUBJECTS, TIMES, max_size=50)


def filled(held: dict[Subject, float]) -> CompactTimes:
    compact = CompactTimes()
    for subject, at in held.items():
        assert compact.insert_or_take(subject, at, -inf) is None
    return compact


def everybody(compact: CompactTimes) -> set[Subject]:
    return {
        who for every in ("0.0.0.0/0", "::/0") for who in compact.subjects_in(ip_network(every))
    }


@given(HELD, st.lists(SUBJECTS))
def test_it_is_a_dict(held: dict[Subject, float], others: list[Subject]) -> None:
    """Every subject comes back in its canonical text, with its own time, exactly once."""
    compact = filled(held)
    assert everybody(compact) == set(held)
    for subject in (*held, *others):
        assert compact.get(subject) == held.get(subject)
    for subject, at in held.items():
        assert compact.pop(subject) == at
        assert compact.pop(subject) is None
    assert everybody(compact) == set()


def test_a_second_time_takes_the_first_one_out() -> None:
    """Whoever comes back gets what was kept, which is then gone."""
    compact = filled({address(1): 5.0, address(2): 6.0})
    assert compact.insert_or_take(address(1), 7.0, -inf) == 5.0
    assert everybody(compact) == {address(2)}


@given(HELD, TIMES, TIMES)
def test_times(held: dict[Subject, float], since: float, until: float) -> None:
    """Times are compared as they were given: an end is not within, a start is."""
    compact = filled(held)
    assert compact.count_after(since) == sum(at > since for at in held.values())
    gone = {who for who, at in held.items() if since <= at < until}
    assert set(compact.drop_between(since, until)) == gone
    assert everybody(compact) == set(held) - gone


@given(HELD, TIMES)
def test_who_is_left_can_be_taken_out(held: dict[Subject, float], until: float) -> None:
    """Whatever went before, everybody who is there is found, up to the last one."""
    compact = filled(held)
    for subject in list(held)[::3]:
        assert compact.insert_or_take(subject, 1.0, -inf) == held.pop(subject)
    gone = set(compact.drop_between(-inf, until))
    left = {who: at for who, at in held.items() if who not in gone}
    assert {who: compact.pop(who) for who in held} == {who: left.get(who) for who in held}
    assert everybody(compact) == set()


@given(HELD, st.one_of(SUBJECTS.map(network_of), st.just(ip_network("2001:db8::/32"))))
def test_within(held: dict[Subject, float], network: IPv6Network) -> None:
    """Who shares an address with a network is found, wider or narrower than a subject."""
    held |= {Subject("2001:db8:0:7::/64"): 1.0, Subject("10.1.2.3/32"): 1.0}
    compact = filled(held)
    for asked in (network, network.supernet(8) if network.prefixlen >= 8 else network):
        found = list(compact.subjects_in(asked))
        assert len(found) == len(set(found))
        assert set(found) == {who for who in held if overlap(network_of(who), asked)}
    one = ip_network("2001:db8:0:7::5/128")
    assert set(compact.subjects_in(one)) == {who for who in held if overlap(network_of(who), one)}


@pytest.mark.parametrize(
    "subject",
    ["10.0.0.0/24", "2001:db8::/32", "2001:db8::1/128", "::/64", "0:0:ffff::/48", "x", "1.2.3/32"],
)
def test_what_has_no_place(subject: str) -> None:
    """Subjects of another size, and prefixes that nobody has, are refused and never found."""
    compact = CompactTimes()
    assert compact.insert_or_take(Subject(subject), 1.0, 0.0) == -inf
    assert compact.get(Subject(subject)) is compact.pop(Subject(subject)) is None
    assert everybody(compact) == set()


def address(number: int) -> Subject:
    return Subject(f"{IPv4Address(number)}/32")


def test_the_quiet_go_as_others_come() -> None:
    """The memory holds little more than those whose time still counts."""
    compact = CompactTimes()
    for number in range(200_000):
        compact.insert_or_take(address(number), float(number), number - 1000.0)
    left = everybody(compact)
    assert {address(number) for number in range(199_000, 200_000)} <= left
    assert len(left) < 256 * 64 + 2000
    assert compact.evicted == 0


def test_a_full_one_evicts_the_oldest() -> None:
    """Without room the oldest make way for the newest, and are counted."""
    compact = CompactTimes(shard_size=40)
    for number in range(50_000):
        compact.insert_or_take(address(number), float(number), -inf)
    left = everybody(compact)
    assert compact.evicted == 50_000 - len(left)
    assert 256 * 30 <= len(left) <= 256 * 40
    assert {address(number) for number in range(45_000, 50_000)} <= left
    assert not left & {address(number) for number in range(30_000)}


def test_a_subject_takes_less_than_twenty_bytes() -> None:
    """What it is for: very many subjects in little memory."""
    compact = CompactTimes()
    tracemalloc.start()
    try:
        for number in range(200_000):
            compact.insert_or_take(address(number * 7), 1.0, -inf)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 200_000 * 20 + 100_000

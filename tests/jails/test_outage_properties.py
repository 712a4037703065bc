"""What must be so for the detector whatever happens, in whatever order it is heard of."""

from __future__ import annotations

import pickle
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from mailbanned.address import Subject
from mailbanned.jails import OutageSettings
from mailbanned.jails.outage import OutageDetector
from tests.jails.test_outage import Host

LEAD, HOLD = 5.0, 20.0
# Whole numbers, small against hold, so that outages often meet at their very edges.
TIMES = st.integers(0, 200).map(float)
Event = tuple[Literal["sign", "refuse", "fail", "login"], str, float]
EVENTS: st.SearchStrategy[list[Event]] = st.lists(
    st.tuples(st.sampled_from(["sign", "refuse", "fail", "login"]), st.sampled_from("abcd"), TIMES),
    max_size=60,
)


def play(host: Host, events: list[Event]) -> None:
    """Lets everything happen."""
    for kind, who, at in events:
        if kind == "sign":
            host.sign(at)
        elif kind == "refuse":
            host.refuse(who, at)
        elif kind == "fail":
            host.fail(who, at)
        else:
            host.login(who, at)


def outage_at(host: Host, at: float) -> bool:
    """As suspends, but without an answer that the detector would remember."""
    return host.detector.state(at).is_open


@given(st.lists(TIMES, min_size=1, max_size=40))
def test_signs_in_any_order(times: list[float]) -> None:
    """A time is suspended if and only if a sign lies near enough, whatever the order of signs."""
    host = Host(hold=HOLD)
    host.sign(*times)
    edges = {at + shift for at in times for shift in (-LEAD, 0.0, HOLD)}
    for at in {near + step for near in edges for step in (-0.5, 0.0, 0.5)}:
        expected = any(sign - LEAD <= at < sign + HOLD for sign in times)
        assert outage_at(host, at) is expected


@given(EVENTS)
def test_what_was_counted_lies_outside_in_the_end(events: list[Event]) -> None:
    """Every "count it" that turns out wrong is taken back by an opening that covers its time."""
    host = Host(hold=HOLD)
    play(host, events)
    assert [at for _, at in host.counted if outage_at(host, at)] == []


@given(EVENTS, TIMES)
def test_openings_tell_of_every_outage(events: list[Event], before: float) -> None:
    """Whenever an outage begins, an opening tells; a suspended time before its news is covered."""
    host = Host(hold=HOLD)
    host.fail("z", before)  # an answer was given, so that nothing up to there may pass unsaid
    play(host, events)
    for at in range(int(before) + 1):
        if outage_at(host, float(at)):
            assert any(one.since <= at < one.until for one in host.openings)
    news = [one for one in host.openings if one.is_new]
    assert host.detector.state(0.0).outages_total == len(news)


@given(EVENTS)
def test_all_that_is_suspended_has_evidence(events: list[Event]) -> None:
    """Without a sign, or a failure of a known client, within hold nothing is suspended."""
    host = Host(hold=HOLD)
    play(host, events)
    known = {who for kind, who, _ in events if kind == "login"}
    evidence = [at for kind, who, at in events if kind == "sign" or who in known]
    for at in range(-10, 250):
        if outage_at(host, float(at)):
            # A jump reaches back by hold, and a server's word by the lead before that.
            assert any(one - HOLD - LEAD <= at < one + HOLD for one in evidence)


@given(EVENTS)
def test_strangers_alone_do_nothing(events: list[Event]) -> None:
    """Without signs and logins no events suspend anything."""
    host = Host(hold=HOLD)
    play(host, [event for event in events if event[0] in ("refuse", "fail")])
    assert host.openings == []
    assert host.detector.state(0.0).suspended_total == 0


@given(EVENTS, TIMES)
def test_a_login_wins_over_all_witnesses(events: list[Event], at: float) -> None:
    """Where no server gave a sign, nothing is suspended at the time of a login."""
    host = Host(hold=HOLD)
    play(host, [event for event in events if event[0] != "sign"])
    host.login("a", at)
    assert not outage_at(host, at)


@given(EVENTS)
def test_in_order_only_enough_witnesses_open(events: list[Event]) -> None:
    """In order of time, a jump has three known clients that failed within hold of one another."""
    host = Host(hold=HOLD)
    host.login("abcd", -1.0)
    failing: dict[str, float] = {}
    for kind, who, at in sorted(events, key=lambda event: event[2]):
        if kind == "sign":
            continue
        before = len(host.openings)
        play(host, [(kind, who, at)])
        if kind == "login":
            failing.clear()
        else:
            failing[who] = at
        enough = sum(1 for last in failing.values() if last > at - HOLD) >= 3
        assert enough or len(host.openings) == before
        assert not enough or outage_at(host, at)


def test_clients_are_bounded() -> None:
    """Of any number of clients the latest ten thousand are known, and these are heard."""
    detector = OutageDetector(OutageSettings())
    for number in range(12_000):
        detector.on_login(Subject(f"client-{number}"), float(number))
    assert detector.state(0.0).known_clients == 10_000
    for number in (0, 1, 2):
        assert detector.on_failure(Subject(f"client-{number}"), 12_000.0) is None
    found = [
        detector.on_failure(Subject(f"client-{n}"), 12_000.0) for n in (11_997, 11_998, 11_999)
    ]
    assert [opening is not None for opening in found] == [False, False, True]


def test_no_failure_leaves_anything_behind() -> None:
    """Neither strangers nor known clients make the detector bigger by failing."""
    detector = OutageDetector(OutageSettings())
    for number in range(1000):
        detector.on_login(Subject(f"client-{number}"), 0.0)
    before = len(pickle.dumps(detector))
    for number in range(1000):
        for who in (Subject(f"client-{number}"), Subject(f"stranger-{number}")):
            detector.on_failure(who, 100.0)
            detector.on_report(100.0, "temporary failure", who)
            detector.suspends(100.0)
    assert len(pickle.dumps(detector)) < before + 1000


def test_outages_are_bounded() -> None:
    """Of any number of outages only the latest are remembered, also if they come the wrong way."""
    host = Host()
    host.sign(*(number * 1000.0 for number in range(10_000)))
    remembered = [number for number in range(10_000) if outage_at(host, number * 1000.0)]
    assert remembered == list(range(10_000 - 128, 10_000))
    told = len(host.openings)
    host.sign(5000.0)
    assert (len(host.openings), outage_at(host, 5000.0)) == (told, False)
    host.sign(9_999_500.0)
    assert outage_at(host, 9_999_500.0)

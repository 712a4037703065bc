"""The detector at a reload, and what it tells people."""

from __future__ import annotations

from mailbanned.jails import OutageSettings
from tests.jails.test_outage import DEAD, Host


def test_switched_off() -> None:
    """A detector that is not enabled suspends nothing, nor what it had suspended before."""
    host = Host()
    host.sign(100.0)
    host.detector.configure(OutageSettings(enabled=False))
    host.sign(110.0)
    host.refuse("a", 110.0)
    host.fail("a", 110.0)
    assert len(host.openings) == 1
    assert host.counted == [("a", 110.0)]
    assert not host.open(110.0)


def test_new_rules_hold_from_now_on() -> None:
    """A reload keeps whom the detector knows; the new hold and number decide about what follows."""
    host = Host()
    host.login("abc", 0.0)
    host.detector.configure(OutageSettings(hold=10.0, clients=2))
    host.fail("a", 100.0)
    host.fail("b", 105.0)
    assert [(one.since, one.until) for one in host.openings] == [(100.0, 115.0)]


def test_the_state_tells_of_the_present_or_the_latest_outage() -> None:
    """People see since when, until when and why, also afterwards, and how much was held back."""
    host = Host()
    empty = host.detector.state(0.0)
    assert (empty.is_open, empty.since, empty.until, empty.reason) == (False, None, None, "")
    host.sign(100.0)
    host.fail("x", 101.0, 102.0, 200.0)
    host.sign(-1000.0)
    assert host.detector.state(-1000.0).since == -1005.0
    for now, is_open in ((120.0, True), (300.0, False)):
        state = host.detector.state(now)
        assert (state.is_open, state.since, state.until, state.reason) == (
            is_open,
            95.0,
            160.0,
            DEAD,
        )
        assert (state.outages_total, state.suspended_total, state.known_clients) == (2, 2, 0)

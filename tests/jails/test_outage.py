"""The outage detector and reports of servers: what begins, prolongs and ends an outage."""

from __future__ import annotations

import pytest

from mailbanned.address import Subject
from mailbanned.jails import OutageDetected, OutageSettings
from mailbanned.jails.outage import OutageDetector

DEAD = "mysql: connect failed"


class Host:
    """A detector in use: what was counted in the end, after all that had to be undone."""

    def __init__(self, hold: float = 60.0, clients: int = 3, enabled: bool = True) -> None:
        self.detector = OutageDetector(OutageSettings(enabled, hold, clients))
        self.openings: list[OutageDetected] = []
        self.counted: list[tuple[str, float]] = []

    def sign(self, *times: float) -> None:
        """A server cannot reach its backend."""
        for at in times:
            self._undo(self.detector.on_report(at, DEAD))

    def refuse(self, who: str, *times: float) -> None:
        """A server tells a client of a temporary failure."""
        for at in times:
            self._undo(self.detector.on_report(at, "temporary failure", Subject(who)))

    def fail(self, who: str, *times: float) -> None:
        """A client fails, and is counted if nothing suspends that."""
        for at in times:
            self._undo(self.detector.on_failure(Subject(who), at))
            if not self.detector.suspends(at):
                self.counted.append((who, at))

    def login(self, names: str, *times: float) -> None:
        """Each of the clients (one letter each) logs in."""
        for at in times:
            for who in names:
                self.detector.on_login(Subject(who), at)

    def open(self, now: float) -> bool:
        return self.detector.state(now).is_open

    def _undo(self, opening: OutageDetected | None) -> None:
        if opening is not None:
            self.openings.append(opening)
            self.counted = [
                (who, at) for who, at in self.counted if not opening.since <= at < opening.until
            ]


def test_one_sign_is_enough() -> None:
    """A server without its backend suspends at once: from a little before it says so, for hold."""
    host = Host()
    host.sign(100.0)
    assert host.openings == [OutageDetected(95.0, 160.0, DEAD)]
    told = [host.detector.suspends(at) for at in (94.999, 95.0, 159.999, 160.0)]
    assert told == [False, True, True, False]


def test_a_sign_within_an_outage_prolongs_it_without_a_word() -> None:
    """While an outage goes on there is nothing to undo, and hold after the last sign it ends."""
    host = Host()
    host.sign(100.0, 130.0, 130.0, 120.0)
    assert (host.open(189.0), host.open(190.0)) == (True, False)
    host.fail("x", 300.0)
    host.sign(130.0)
    assert len(host.openings) == 1


@pytest.mark.parametrize("signs", [(100.0, 165.0), (165.0, 100.0)])
def test_outages_that_adjoin_are_one(signs: tuple[float, float]) -> None:
    """Where one outage ends at the moment at which another begins, there is no gap."""
    host = Host()
    host.sign(*signs)
    state = host.detector.state(120.0)
    assert (state.since, state.until, state.outages_total) == (95.0, 225.0, 1)


def test_an_outage_that_reaches_over_counted_failures_is_told() -> None:
    """A sign that is read late, and suspends what was counted already, says so."""
    host = Host()
    host.sign(100.0)
    host.fail("x", 200.0, 50.0)
    host.sign(150.0)
    assert host.openings[1:] == [OutageDetected(95.0, 210.0, DEAD, is_new=False)]
    assert host.counted == [("x", 50.0)]


def test_an_earlier_start_is_told() -> None:
    """A sign read late that moves the start of an outage says so, as no new outage."""
    host = Host()
    host.sign(100.0, 70.0)
    assert host.openings[1:] == [OutageDetected(65.0, 160.0, DEAD, is_new=False)]
    assert host.detector.state(100.0).outages_total == 1


def test_a_success_refutes_the_witnesses() -> None:
    """Whoever logs in, even a stranger, shows that the backend works: the others have mistyped."""
    for who in "acz":
        host = Host()
        host.login("abc", 0.0)
        host.fail("a", 100.0)
        host.fail("b", 110.0)
        host.login(who, 115.0)
        host.fail("c", 120.0)
        assert (host.openings, len(host.counted)) == ([], 3), who


def test_a_success_ends_what_witnesses_opened() -> None:
    """The first login after a jump ends the outage there and then, and is believed from there."""
    host = Host()
    host.login("abc", 0.0)
    for who in "abc":
        host.fail(who, 100.0)
    assert host.open(120.0)
    host.login("z", 120.0)
    assert (host.open(119.9), host.open(120.0)) == (True, False)
    assert host.detector.state(120.0).known_clients == 4


def test_a_success_does_not_end_what_a_server_said() -> None:
    """A login from a cache proves nothing against a sign, and makes nobody known."""
    host = Host()
    host.login("abc", 0.0)
    host.sign(100.0)
    host.login("z", 110.0)
    assert host.open(159.0)
    assert host.detector.state(110.0).known_clients == 3


def test_of_both_the_sign_holds() -> None:
    """Where witnesses prolong what a sign opened, a success takes back only what is theirs."""
    host = Host()
    host.login("abc", 0.0)
    host.sign(100.0)
    for who in "abc":
        host.fail(who, 150.0)
    assert host.open(209.0)
    host.login("a", 155.0)
    assert (host.open(159.0), host.open(160.0)) == (True, False)
    assert len(host.openings) == 1
    assert host.detector.state(155.0).reason == DEAD

"""Attacks at sshd, which mailbanned follows through the journal."""

from __future__ import annotations

import pytest

from tests.e2e.host.attackers import Internet, at_once
from tests.e2e.host.conftest import Strangers
from tests.e2e.host.judge import Probe, judge
from tests.e2e.host.mailhost import MailHost

pytestmark = pytest.mark.real


def test_unknown_users(host: MailHost, internet: Internet, strangers: Strangers) -> None:
    """A user whom the host does not have gets one try."""
    attackers = strangers(4)
    with Probe(host, attackers) as probe:
        for one in attackers:
            internet.ssh(one, "oracle", 1)
            probe.closed(one)
            line = host.last_line("ssh", "Invalid user oracle", one)
            judge("ssh, unknown users, alone", {one: line}, probe)
    host.wait_denied(*(f"{one}/32" for one in attackers))


def test_known_users(host: MailHost, internet: Internet, strangers: Strangers) -> None:
    """A user of the host gets three, whether in one session or in several."""
    hasty, patient = strangers(3), strangers(3)
    with Probe(host, hasty + patient) as probe:
        attempts = {**dict.fromkeys(hasty, 3), **dict.fromkeys(patient, 2)}
        at_once(lambda one: internet.ssh(one, "alice", attempts[one]), attempts)
        for one in hasty:
            probe.closed(one)  # so that what the others did before has been counted
        assert all(probe.answers(one) for one in patient)
        at_once(lambda one: internet.ssh(one, "alice", 1), patient)
        for one in attempts:
            probe.closed(one)
            line = host.last_line("ssh", "Failed password for alice", one)
            judge("ssh, known users, three at once", {one: line}, probe)
    host.wait_denied(*(f"{one}/32" for one in attempts))


def test_ipv6(host: MailHost, internet: Internet, strangers6: Strangers) -> None:
    """The same holds for IPv6."""
    (one,) = strangers6(1)
    with Probe(host, [one]) as probe:
        internet.ssh(one, "oracle", 1)
        probe.closed(one)
    host.wait_denied(one.replace("::10", "::/64"))

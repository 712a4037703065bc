"""Attacks at Postfix and Dovecot, judged by the attackers and by the kernel's rules."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.e2e.host.attackers import Answer, Internet, at_once
from tests.e2e.host.conftest import Settle, Strangers
from tests.e2e.host.judge import Probe, judge
from tests.e2e.host.mailhost import IGNORED, PASSWORD, SMTP, SUBMISSION, USERS, MailHost

pytestmark = pytest.mark.real


def times(answers: Mapping[str, Answer]) -> dict[str, float]:
    """When each was answered."""
    return {source: answer.at for source, answer in answers.items()}


def test_sasl_by_unknown_users(host: MailHost, internet: Internet, strangers: Strangers) -> None:
    """Clients who try accounts that do not exist are shut out after one try."""
    attackers = strangers(10)
    with Probe(host, attackers) as probe:
        for one in attackers:
            answer = internet.smtp(one).login_as("oracle@example.org")
            judge("SASL, unknown users, alone", {one: answer.at}, probe)
    host.wait_denied(*(f"{one}/32" for one in attackers))


def test_a_wave_of_unknown_users(host: MailHost, internet: Internet, strangers: Strangers) -> None:
    """Clients who all come at once are shut out, each after one try."""
    wave = strangers(10)
    with Probe(host, wave) as probe:
        sessions = at_once(internet.smtp, wave)
        answers = at_once(lambda one: sessions[one].login_as("oracle@example.org"), wave)
        judge("SASL, unknown users, ten at once", times(answers), probe)
    host.wait_denied(*(f"{one}/32" for one in wave))


def test_sasl_by_known_users(
    host: MailHost, internet: Internet, strangers: Strangers, settle: Settle
) -> None:
    """Clients who guess passwords of real accounts are shut out after the third try, not before."""
    wave = strangers(8)
    users = dict(zip(wave, USERS, strict=False))
    with Probe(host, wave) as probe:
        sessions = at_once(internet.smtp, wave)
        for _ in range(2):
            at_once(lambda one: sessions[one].login_as(users[one]), wave)
        settle()
        assert all(probe.answers(one) for one in wave)
        answers = at_once(lambda one: sessions[one].login_as(users[one]), wave)
        judge("SASL, known users, eight at once", times(answers), probe)
    host.wait_denied(*(f"{one}/32" for one in wave))


def test_imap(host: MailHost, internet: Internet, strangers: Strangers, settle: Settle) -> None:
    """At Dovecot an unknown user gets one try, and a known one three."""
    guessers, forgetful = strangers(5), strangers(5)
    with Probe(host, guessers + forgetful) as probe:
        for one in guessers:
            answer = internet.imap(one).login_as("oracle@example.org")
            judge("IMAP, unknown users, alone", {one: answer.at}, probe)
        for one in forgetful:
            for _ in range(2):
                assert "AUTHENTICATIONFAILED" in internet.imap(one).login_as(USERS[0]).text
        settle()
        assert all(probe.answers(one) for one in forgetful)
        for one in forgetful:
            answer = internet.imap(one).login_as(USERS[0])
            judge("IMAP, known users, alone", {one: answer.at}, probe)
    host.wait_denied(*(f"{one}/32" for one in guessers + forgetful))


def test_harvest_in_one_session(host: MailHost, internet: Internet, strangers: Strangers) -> None:
    """The third recipient who does not exist ends the session itself, though it was let in."""
    attackers = strangers(5)
    with Probe(host, attackers) as probe:
        for one in attackers:
            session = internet.smtp(one, SMTP)
            answers = [session.address_to(f"{name}@example.org") for name in ("ann", "ben", "cat")]
            assert answers[0].text.startswith("550 5.1.1")
            judge("harvest in one session", {one: answers[-1].at}, probe)
            assert session.address_to("dan@example.org").text == ""


def test_harvest_over_sessions(
    host: MailHost, internet: Internet, strangers: Strangers, settle: Settle
) -> None:
    """Three recipients who do not exist shut a client out, also if each has its own session."""
    attackers = strangers(5)
    with Probe(host, attackers) as probe:
        for name in ("ann", "ben"):
            for one in attackers:
                internet.smtp(one, SMTP).address_to(f"{name}@example.org")
        settle()
        assert all(probe.answers(one) for one in attackers)
        for one in attackers:
            answer = internet.smtp(one, SMTP).address_to("cat@example.org")
            judge("harvest over sessions", {one: answer.at}, probe)


def test_ipv6(host: MailHost, internet: Internet, strangers6: Strangers) -> None:
    """An attacker with IPv6 loses his whole /64, by each of the protocols."""
    smtp, imap, spared = strangers6(3)
    neighbour = smtp.replace("::10", "::20")
    with Probe(host, [smtp, imap, spared]) as probe:
        for one, session in ((smtp, internet.smtp(smtp)), (imap, internet.imap(imap))):
            answer = session.login_as("oracle@example.org")
            judge("IPv6, unknown users, alone", {one: answer.at}, probe)
        assert probe.answers(spared)
    host.wait_denied(*(one.replace("::10", "::/64") for one in (smtp, imap)))
    assert internet.drops(neighbour, SUBMISSION)


@pytest.mark.parametrize("server", ["smtp", "imap"])
def test_a_user_who_mistypes(
    host: MailHost, internet: Internet, strangers: Strangers, settle: Settle, server: str
) -> None:
    """Who mistypes the password twice, and then gets it right, is let in and never banned."""
    (user,) = strangers(1)
    session = getattr(internet, server)(user)
    with Probe(host, [user]) as probe:
        for _ in range(2):
            assert "authentication failed" in session.login_as(USERS[1]).text.lower()
        answer = session.login_as(USERS[1], PASSWORD)
        assert answer.text.startswith(("235", "('OK'")), answer
        settle()
        assert probe.answers(user)
    assert f"{user}/32" not in host.banned()


def test_an_ignored_network(host: MailHost, internet: Internet, settle: Settle) -> None:
    """Whoever is on the ignore list may fail as often as he likes."""
    with Probe(host, IGNORED) as probe:
        for one in IGNORED:
            for _ in range(4):
                internet.smtp(one).login_as("oracle@example.org")
                internet.imap(one).login_as("oracle@example.org")
        settle()
        assert all(probe.answers(one) for one in IGNORED)
    assert not {f"{one}/32" for one in IGNORED} & set(host.banned())

"""What the host's own servers go through while it is under attack."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.host.attackers import Internet, at_once
from tests.e2e.host.conftest import Settle, Strangers
from tests.e2e.host.judge import Probe, judge
from tests.e2e.host.mailhost import PASSWORD, USERS, MailHost

pytestmark = pytest.mark.real


@contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[threading.Thread]:
    """The action in a thread, ended when the block ends."""
    thread = threading.Thread(target=action)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def test_a_dead_account_database(
    host: MailHost, internet: Internet, strangers: Strangers, settle: Settle
) -> None:
    """While MariaDB is down nobody is banned for a right password, and ssh is guarded as ever."""
    users, (guesser,) = strangers(4), strangers(1)
    internet.imap(users[0]).login_as(USERS[2], PASSWORD)

    def log_in(user: str) -> list[str]:
        """Every time in a new session; nobody waits for an answer for long."""
        said: list[str] = []
        for _ in range(4):
            session = internet.smtp(user) if user in users[:2] else internet.imap(user)
            assert session.sock is not None
            session.sock.settimeout(3)
            said.append(session.login_as(USERS[2], PASSWORD).text)
        return said

    outages = host.status()["breaker"]["openings_total"]
    with Probe(host, [*users, guesser]) as probe:
        host.run("systemctl", "stop", "mariadb")
        try:
            said = str(at_once(log_in, users))
            assert "235 " not in said
            assert "OK" not in said
            host.wait(lambda: host.status()["breaker"]["openings_total"] > outages, "it is noticed")
            internet.ssh(guesser, "oracle", 1)
            probe.closed(guesser)
        finally:
            host.run("systemctl", "start", "mariadb")
            host.run("systemctl", "restart", "dovecot")  # which would wait before it asks again
        host.wait(lambda: not host.status()["breaker"]["open"], "the outage is over")
        settle()
        assert all(probe.answers(user) for user in users)
    assert not {f"{user}/32" for user in users} & set(host.banned())
    assert internet.imap(users[1]).login_as(USERS[2], PASSWORD).text.startswith("('OK'")


@pytest.mark.parametrize("command", ["firewall-cmd --reload", "systemctl restart firewalld"])
def test_firewalld_forgets(
    host: MailHost, internet: Internet, strangers: Strangers, command: str
) -> None:
    """Bans come back by themselves, and an attacker of that very moment is banned, too."""
    old, new = strangers(6), strangers(4)
    with Probe(host, [*old, *new]) as probe:
        sessions = at_once(internet.smtp, old + new)
        at_once(lambda one: sessions[one].login_as("oracle@example.org"), old)
        for one in old:
            probe.closed(one)
        with meanwhile(lambda: host.run(*command.split())) as running:
            for one in new:
                sessions[one].login_as("oracle@example.org")
                time.sleep(0.1)
            running.join()
        for one in old + new:
            probe.closed(one)
    host.wait_denied(*(f"{one}/32" for one in old + new))


def test_log_rotation(
    host: MailHost, internet: Internet, strangers: Strangers, settle: Settle
) -> None:
    """logrotate moves the logs under an attack: each failure counts once, before and after."""
    patient, hasty = strangers(4), strangers(6)
    smtp, imap = patient[:2], patient[2:]
    with Probe(host, [*patient, *hasty]) as probe:

        def fail(sources: list[str]) -> dict[str, float]:
            logins = [internet.smtp(one).login_as for one in sources if one in smtp]
            logins += [internet.imap(one).login_as for one in sources if one in imap]
            answers = [login(USERS[3]).at for login in logins]
            return dict(zip(sources, answers, strict=True))

        fail(patient)
        rotate(host)
        fail(patient)
        settle()
        assert all(probe.answers(one) for one in patient)
        with meanwhile(lambda: rotate(host)):
            for one in hasty:
                answer = internet.smtp(one).login_as("oracle@example.org")
                judge("SASL, unknown users, in log rotation", {one: answer.at}, probe)
        judge("third failure, after two log rotations", fail(patient), probe)
    assert (host.root / "var/log/mail.log.2.gz").exists()
    assert (host.root / "var/log/dovecot.log.2.gz").exists()


def rotate(host: MailHost) -> None:
    """Rotates the logs of the servers, as the distribution does every week."""
    host.run("logrotate", "--force", "/etc/logrotate.conf")

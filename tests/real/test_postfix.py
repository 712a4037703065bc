"""Harvests of recipients against a real Postfix, judged by how many answers the attacker gets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.real.conftest import skip_or_fail
from tests.real.lab import ATTACKERS4, Lab
from tests.real.postfix import MAILBOX, Postfix, Session, missing, reachable
from tests.real.tables import remove_table
from tests.running import Running, write_shipped

pytestmark = pytest.mark.real

PROBES = 20
PAUSE = 0.1  # seconds between an answer and the next probe
JAIL = "postfix-rcpt-unknown"


@pytest.fixture
def postfix(lab: Lab) -> Iterator[Postfix]:
    if reason := missing():
        skip_or_fail(reason)
    with Postfix(lab) as server:
        yield server


@pytest.fixture(params=["firewalld", "nftables"])
def daemon(
    request: pytest.FixtureRequest, lab: Lab, postfix: Postfix, tmp_path: Path
) -> Iterator[Running]:
    """A daemon with the shipped jails, which follows Postfix's log."""
    write_shipped(tmp_path, backend=request.param, postfix=postfix.log)
    env = {"DBUS_SYSTEM_BUS_ADDRESS": lab.bus_address}
    try:
        with Running(tmp_path, env=env, launch=lab.host.popen) as daemon:
            daemon.wait(lambda: daemon.status()["firewall"]["state"] == "up", "the firewall is up")
            daemon.wait(lambda: followed(daemon), "Postfix's log is followed")
            yield daemon
            assert daemon.cli("unban", "--all").returncode == 0
    finally:
        remove_table(lab)


def followed(daemon: Running) -> bool:
    """Whether lines that Postfix writes from now on are live."""
    return bool(daemon.source("postfix").get("state") == "following")


def harvest(session: Session) -> list[float]:
    """Tries recipients that do not exist; returns when (monotonic) each answer came."""
    answers: list[float] = []
    try:
        for number in range(PROBES):
            assert session.offer(f"x{number}@example.org").startswith("550 5.1.1")
            answers.append(time.monotonic())
            session.pause(PAUSE)
    except ConnectionResetError:
        pass
    return answers


def test_a_harvest_ends_with_its_third_answer(lab: Lab, daemon: Running) -> None:
    """One session, a probe every 100 ms: three answers, or four if one was on its way.

    The attacker does not get in again, and another client's session goes on.
    """
    innocent, *attackers = ATTACKERS4[:4]
    with ExitStack() as undo:
        other = undo.enter_context(closing(Session(lab, innocent)))
        assert other.offer("alcie@example.org").startswith("550 5.1.1")
        for attacker in attackers:
            session = undo.enter_context(closing(Session(lab, attacker)))
            assert len(harvest(session)) in (3, 4)
            assert not reachable(lab, attacker)
        assert other.offer(MAILBOX).startswith("250")
    assert daemon.banned() == {JAIL: {f"{attacker}/32" for attacker in attackers}}

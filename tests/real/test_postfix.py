"""Harvests of recipients against a real Postfix, judged by the answers that the attacker gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from tests.real.conftest import skip_or_fail
from tests.real.lab import ATTACKERS4, Lab
from tests.real.postfix import MAILBOX, PORT, Postfix, Session, missing
from tests.real.tables import remove_table
from tests.running import Running, write_shipped

pytestmark = pytest.mark.real

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


def harvest(session: Session, daemon: Running, attacker: str) -> None:
    """Tries three recipients that do not exist, each when the one before has been counted."""
    before = daemon.jail(JAIL)["failures_total"]
    for number in range(1, 4):
        assert f"{attacker}/32" not in daemon.banned().get(JAIL, ())
        assert session.offer(f"x{number}@example.org").startswith("550 5.1.1")
        daemon.wait(partial(has_counted, daemon, before + number), "it is counted")


def has_counted(daemon: Running, failures: int) -> bool:
    """Whether the jail has counted as many failures in all."""
    return bool(daemon.jail(JAIL)["failures_total"] >= failures)


def test_a_harvest_ends_with_its_third_answer(lab: Lab, daemon: Running) -> None:
    """In one session the third refused recipient is the last: it is cut with no further word.

    The attacker does not get in again, and another client's session goes on.
    """
    innocent, *attackers = ATTACKERS4[:4]
    with ExitStack() as undo:
        other = undo.enter_context(closing(Session(lab, innocent)))
        assert other.offer("alcie@example.org").startswith("550 5.1.1")
        daemon.wait(partial(has_counted, daemon, 1), "the mistake is counted")
        for attacker in attackers:
            session = undo.enter_context(closing(Session(lab, attacker)))
            harvest(session, daemon, attacker)
            with pytest.raises(ConnectionResetError):
                session.last()
            daemon.wait(partial(lab.drops, attacker, PORT), "its packets are dropped")
        assert other.offer(MAILBOX).startswith("250")
    assert daemon.banned() == {JAIL: {f"{attacker}/32" for attacker in attackers}}

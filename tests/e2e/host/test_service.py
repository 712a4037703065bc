"""mailbanned as a service of systemd: reload, restart, crash, hang."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.host.attackers import Internet
from tests.e2e.host.conftest import Strangers
from tests.e2e.host.judge import Probe
from tests.e2e.host.mailhost import MailHost

pytestmark = pytest.mark.real

UNIT = "mailbanned.service"


def strike(internet: Internet, source: str) -> None:
    """What brings a ban at once."""
    internet.smtp(source).login_as("oracle@example.org")


@pytest.fixture
def extra(host: MailHost) -> Iterator[Path]:
    """A configuration file of the test's own."""
    path = host.root / "etc/mailbanned/conf.d/60-test.toml"
    yield path
    path.unlink()
    host.run("systemctl", "reload", UNIT)


def test_reload(host: MailHost, internet: Internet, strangers: Strangers, extra: Path) -> None:
    """After `systemctl reload` the new configuration holds, and a ban it forbids is lifted."""
    first, second = strangers(2)
    pid = host.show(UNIT, "MainPID")
    with Probe(host, [first, second]) as probe:
        strike(internet, first)
        probe.closed(first)
        extra.write_text(f'[defaults]\nignore = ["127.0.0.0/8", "{first}"]\n')
        host.run("systemctl", "reload", UNIT)
        assert host.status()["config"]["last_reload"]["ok"]
        host.wait(lambda: probe.answers(first), "the ban is lifted")
        strike(internet, first)
        strike(internet, second)
        probe.closed(second)
        assert probe.answers(first)
    assert host.show(UNIT, "MainPID") == pid


def test_a_bad_file(host: MailHost, internet: Internet, strangers: Strangers, extra: Path) -> None:
    """`systemctl reload` of a file with errors changes nothing, and the status names them."""
    (one,) = strangers(1)
    extra.write_text("[defaults]\nmaxrety = 1\n[jails.sshd]\nfindtime = 'soon'\n")
    host.run("systemctl", "reload", UNIT, check=False)
    outcome = host.status()["config"]["last_reload"]
    assert not outcome["ok"]
    assert len(outcome["errors"]) == 2, outcome
    assert host.show(UNIT, "ActiveState") == "active"
    with Probe(host, [one]) as probe:
        strike(internet, one)
        probe.closed(one)


def test_restart(host: MailHost, internet: Internet, strangers: Strangers) -> None:
    """During `systemctl restart` bans stay in force, and what happens meanwhile counts."""
    old, new = strangers(2)
    with Probe(host, [old, new]) as probe:
        strike(internet, old)
        shut = probe.closed(old)
        host.run("systemctl", "stop", UNIT)
        strike(internet, new)
        assert probe.answers(new)
        host.run("systemctl", "start", UNIT)
        probe.closed(new)
        assert probe.last_answer(old) < shut
    host.wait_denied(f"{old}/32", f"{new}/32")


def test_kill(host: MailHost, internet: Internet, strangers: Strangers) -> None:
    """Killed in the midst of an attack, it is started again and has forgotten nobody."""
    old, new = strangers(2)
    restarts = int(host.show(UNIT, "NRestarts"))
    with Probe(host, [old, new]) as probe:
        strike(internet, old)
        shut = probe.closed(old)
        host.run("systemctl", "kill", "--signal=KILL", UNIT)
        strike(internet, new)
        host.wait_denied(f"{new}/32")
        assert probe.last_answer(old) < shut
    assert int(host.show(UNIT, "NRestarts")) == restarts + 1


@pytest.fixture
def impatient(host: MailHost) -> Iterator[None]:
    """A watchdog that strikes after two seconds instead of 30."""
    folder = host.root / f"run/systemd/system/{UNIT}.d"
    folder.mkdir(parents=True)
    drop_in = folder / "impatient.conf"
    drop_in.write_text("[Service]\nWatchdogSec=2\n")
    try:
        host.run("systemctl", "daemon-reload")
        host.run("systemctl", "restart", UNIT)
        yield
    finally:
        drop_in.unlink()
        folder.rmdir()
        host.run("systemctl", "daemon-reload")
        host.run("systemctl", "restart", UNIT)


@pytest.mark.usefixtures("impatient")
def test_hang(host: MailHost, internet: Internet, strangers: Strangers) -> None:
    """A process that does not move any more is replaced by systemd, and bans what it missed."""
    (one,) = strangers(1)
    pid = host.show(UNIT, "MainPID")
    host.run("kill", "-STOP", pid)
    strike(internet, one)
    host.wait(lambda: host.show(UNIT, "MainPID") not in (pid, "0"), "it is replaced")
    assert "Watchdog timeout (limit 2s)" in host.log()
    host.wait_denied(f"{one}/32")

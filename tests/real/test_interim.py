"""A real firewalld that is slow or away: who waits for it is kept out all the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.lab import ATTACKERS4, NEIGHBOURS6, Lab
from tests.real.test_daemon import PORT, daemon, folder, running
from tests.running import Running, ssh, write_config

pytestmark = pytest.mark.real

__all__ = ["daemon", "folder"]  # fixtures

A, B, C = ATTACKERS4[:3]


@pytest.fixture
def asleep(lab: Lab, daemon: Running) -> Iterator[Running]:
    """The daemon, while firewalld is stopped in the middle of what it does."""
    os.kill(lab.firewalld_pid, signal.SIGSTOP)
    try:
        yield daemon
    finally:
        os.kill(lab.firewalld_pid, signal.SIGCONT)


def interim(lab: Lab) -> str:
    """What the kernel has of interim bans."""
    return lab.host.exec("nft", "list", "table", "inet", "mailbanned", check=False)


def test_a_wave_is_dropped_while_firewalld_sleeps(lab: Lab, asleep: Running) -> None:
    """The attackers are out before firewalld has any rule; their bans are pending, not in force."""
    wave = [*ATTACKERS4[:20], NEIGHBOURS6[0]]
    asleep.append("secure", *(ssh(address) for address in wave))
    asleep.wait(lambda: all(a in interim(lab) for a in wave[:20]), "all are kept out")
    with lab.listen(PORT):
        assert lab.drops(A, PORT)
        lab.connect(ATTACKERS4[25], PORT).close()
    status = asleep.status()["firewall"]
    assert (status["bans_in_force"], status["pending"]) == (0, len(wave))
    assert status["interim"] == "ready"
    assert f"Ban {A}" not in asleep.log(), "it is not in force"
    os.kill(lab.firewalld_pid, signal.SIGCONT)
    asleep.wait(lambda: len(lab.denied()) == len(wave), "firewalld has them all")
    asleep.wait(lambda: asleep.status()["reaction_ms"]["count"] == len(wave), "all are confirmed")


def test_an_open_connection_ends_while_firewalld_sleeps(lab: Lab, asleep: Running) -> None:
    """The session that brought the ban is cut although firewalld does nothing."""
    with lab.listen(PORT) as listener, lab.connect(A, PORT), lab.accept(listener) as served:
        asleep.append("secure", ssh(A))
        with pytest.raises(ConnectionAbortedError):
            served.recv(1)


def test_unbanned_while_firewalld_sleeps(lab: Lab, asleep: Running) -> None:
    """Whoever is let in again does not wait for firewalld or for the end of the minute."""
    asleep.append("secure", ssh(A), ssh(B))
    asleep.wait(lambda: A in interim(lab) and B in interim(lab), "both are kept out")
    said = asleep.cli("why", A).stdout
    assert "not in force: it waits for the firewall" in said
    assert "kept out by an interim ban since" in said
    asleep.cli("unban", A)
    asleep.wait(lambda: A not in interim(lab), "it is let in")
    with lab.listen(PORT):
        lab.connect(A, PORT).close()
        assert lab.drops(B, PORT)


def test_nobody_gets_in_while_firewalld_is_away(lab: Lab, daemon: Running) -> None:
    """Bans hold over the end of firewalld, as long as the daemon is there."""
    daemon.append("secure", ssh(A))
    daemon.wait(lambda: f"{A}/32" in lab.denied(), "the rule is in the kernel")
    lab.stop_firewalld()
    try:
        daemon.wait(lambda: daemon.status()["firewall"]["state"] == "down", "it is noticed")
        daemon.wait(lambda: A in interim(lab), "it is kept out")
        with lab.listen(PORT):
            assert lab.drops(A, PORT)
            lab.connect(B, PORT).close()
    finally:
        lab.start_firewalld()
    daemon.wait(lambda: f"{A}/32" in lab.denied(), "the rule is back")


def test_without_interim_there_is_no_table(lab: Lab, tmp_path: Path) -> None:
    """With interim = false, bans are rules of firewalld and nothing else."""
    write_config(tmp_path, backend="firewalld")
    config = tmp_path / "mailbanned.toml"
    config.write_text(config.read_text().replace("[firewall]\n", "[firewall]\ninterim = false\n"))
    for name in ("postfix.log", "dovecot.log", "secure"):
        (tmp_path / name).touch()
    with running(lab, tmp_path) as daemon:
        daemon.following()
        daemon.append("secure", ssh(A))
        daemon.wait(lambda: f"{A}/32" in lab.denied(), "the rule is in the kernel")
        assert daemon.status()["firewall"]["interim"] == "off"
        daemon.cli("unban", "--all")
        daemon.wait(lambda: not lab.denied(), "nobody is left banned")
    assert not interim(lab)

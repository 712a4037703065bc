"""The whole daemon with a real firewalld: judged from the attacker's side and from the kernel."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.real.lab import ATTACKERS4, ATTACKERS6, NEIGHBOURS6, Lab
from tests.real.mariadb import MariaDB
from tests.running import JAILS, Running, rcpt, sasl, ssh, write_config

pytestmark = pytest.mark.real

A, B, C = ATTACKERS4[:3]
PORT = 2525


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_config(tmp_path, backend="firewalld")
    for name in ("postfix.log", "dovecot.log", "secure"):
        (tmp_path / name).touch()
    return tmp_path


def running(lab: Lab, folder: Path, *options: str) -> Running:
    """A daemon on the lab's host, not started yet."""
    env = {"DBUS_SYSTEM_BUS_ADDRESS": lab.bus_address}
    return Running(folder, options=options, env=env, launch=lab.host.popen)


@pytest.fixture
def daemon(lab: Lab, folder: Path) -> Iterator[Running]:
    with running(lab, folder) as daemon:
        daemon.wait(lambda: daemon.status()["firewall"]["state"] == "up", "the firewall is up")
        daemon.following()
        yield daemon


def test_a_ban_is_in_the_kernel_and_drops_packets(lab: Lab, daemon: Running) -> None:
    """After the ban the attacker's packets vanish, and others still get through."""
    daemon.append("secure", ssh(A))
    daemon.wait(lambda: f"{A}/32" in lab.denied(), "the rule is in the kernel")
    with lab.listen(PORT):
        assert lab.drops(A, PORT)
        lab.connect(B, PORT).close()
    assert daemon.status()["firewall"]["zone"] == "public"
    daemon.wait(lambda: daemon.status()["reaction_ms"]["count"] == 1, "the reaction is counted")


@pytest.mark.parametrize("attacker", [A, NEIGHBOURS6[0]])
def test_a_harvest_in_one_session_ends_with_the_ban(
    lab: Lab, daemon: Running, attacker: str
) -> None:
    """The third refused recipient cuts the open connection; another client's goes on."""
    with (
        lab.listen(PORT, socket.AF_INET6) as listener,
        lab.connect(attacker, PORT) as guilty, lab.accept(listener),
        lab.connect(C, PORT) as innocent, lab.accept(listener) as served,
    ):  # fmt: skip
        for number in range(3):
            daemon.append("postfix.log", rcpt(attacker, f"x{number}@example.org"))
        with pytest.raises(ConnectionResetError):
            guilty.recv(1)
        innocent.sendall(b"still here")
        assert served.recv(20) == b"still here"


def test_ipv6_is_banned_by_its_network(lab: Lab, daemon: Running) -> None:
    """Another address of the same /64 is kept out too, a neighbouring /64 is not."""
    daemon.append("secure", ssh(NEIGHBOURS6[0]))
    daemon.wait(lambda: "2001:db8:0:2::/64" in lab.denied(), "the rule is in the kernel")
    with lab.listen(PORT, socket.AF_INET6):
        assert lab.drops(NEIGHBOURS6[5], PORT)
        lab.connect(ATTACKERS6[0], PORT).close()


def test_an_attacker_in_our_own_network_is_banned_alone(lab: Lab, daemon: Running) -> None:
    """The host's own /64 is not banned as a whole, but the attacker in it is kept out."""
    daemon.append("secure", ssh(ATTACKERS6[0]))
    daemon.wait(lambda: f"{ATTACKERS6[0]}/128" in lab.denied(), "the rule is in the kernel")
    with lab.listen(PORT, socket.AF_INET6):
        assert lab.drops(ATTACKERS6[0], PORT)
        lab.connect(ATTACKERS6[1], PORT).close()


def test_bans_stay_while_the_daemon_is_away(lab: Lab, daemon: Running) -> None:
    """A stop leaves the rule; the next start adopts it with its end unchanged."""
    daemon.append("secure", ssh(A))
    daemon.wait(lambda: f"{A}/32" in lab.denied(), "the rule is in the kernel")
    until = daemon.jail("sshd-unknown")["bans"][0]["until"]
    daemon.stop()
    assert lab.denied() == {f"{A}/32"}
    daemon.start()
    daemon.wait(lambda: daemon.status()["firewall"]["bans_in_force"] == 1, "it is adopted")
    assert lab.denied() == {f"{A}/32"}
    assert daemon.jail("sshd-unknown")["bans"][0]["until"] == until


def test_a_ban_that_ended_while_the_daemon_was_away_is_taken_out(lab: Lab, daemon: Running) -> None:
    """A rule of ours whose ban has run out is removed at the start."""
    daemon.cli("ban", A, B)
    daemon.wait(lambda: lab.denied() == {f"{A}/32", f"{B}/32"}, "both are in the kernel")
    daemon.stop()
    with closing(sqlite3.connect(daemon.folder / "state.db")) as state:
        state.execute("UPDATE bans SET until = 1 WHERE subject = ?", (f"{A}/32",))
        state.commit()
    daemon.start()
    daemon.wait(lambda: lab.denied() == {f"{B}/32"}, "only the running ban is left")


def test_a_ban_ends_by_itself(lab: Lab, daemon: Running) -> None:
    """After its time the rule is gone from the kernel and the ban from the status."""
    for seconds in (1, 8, 64):  # a slow firewalld may take longer than a brief ban lasts
        daemon.cli("ban", A, "--for", f"{seconds}s")
        daemon.wait(lambda: not daemon.banned(), "the ban has ended")
        daemon.wait(lambda: not lab.denied(), "the rule is gone")
        if f"[manual] Ban {A}" in daemon.log():
            break
    else:
        pytest.fail("the rule was never in force")
    assert f"[manual] Unban {A}" in daemon.log()


def test_without_firewalld_the_daemon_counts_and_bans_follow(lab: Lab, folder: Path) -> None:
    """Started before firewalld, it bans in its ledger, says so, and bans for real afterwards."""
    lab.stop_firewalld()
    started = False
    try:
        with running(lab, folder) as daemon:
            daemon.append("secure", ssh(A))
            daemon.wait_banned("sshd-unknown", f"{A}/32")
            firewall = daemon.status()["firewall"]
            assert firewall["bans_in_force"] == 0
            assert firewall["pending"] == 1
            assert f"[sshd-unknown] Ban {A}" not in daemon.log(), "it is not in force yet"
            lab.start_firewalld()
            started = True
            daemon.wait(lambda: lab.denied() == {f"{A}/32"}, "the ban follows")
            assert f"[sshd-unknown] Ban {A}" in daemon.log()
            daemon.cli("unban", "--all")
            daemon.wait(lambda: not lab.denied(), "it is lifted")
    finally:
        if not started:
            lab.start_firewalld()


def test_a_reload_of_firewalld_lifts_no_ban(lab: Lab, daemon: Running) -> None:
    """Runtime rules are gone after `firewall-cmd --reload`, and ours come back at once."""
    for address in ATTACKERS4[:10]:
        daemon.append("secure", ssh(address))
    expected = {f"{address}/32" for address in ATTACKERS4[:10]}
    daemon.wait(lambda: lab.denied() == expected, "all are banned")
    lab.reload()
    daemon.wait(lambda: lab.denied() == expected, "all are back")


def test_flush_on_exit_takes_only_our_bans_out(lab: Lab, folder: Path) -> None:
    """With --flush-on-exit the end of the daemon is the end of its bans; other rules stay."""
    other = 'rule family="ipv4" source address="198.51.100.99" drop'
    lab.firewall_cmd("--zone=public", f"--add-rich-rule={other}")
    try:
        with running(lab, folder, "--flush-on-exit") as daemon:
            daemon.append("secure", ssh(A))
            daemon.wait(lambda: f"{A}/32" in lab.denied(), "the rule is in the kernel")
            assert daemon.stop() == 0
        assert lab.denied() == {"198.51.100.99/32"}
    finally:
        lab.firewall_cmd("--zone=public", f"--remove-rich-rule={other}")


def test_a_new_verdict_is_taken_by_a_reload(lab: Lab, daemon: Running) -> None:
    """With verdict = "reject" the standing ban's rule is exchanged, and nobody slips out."""
    daemon.append("secure", ssh(A))
    daemon.wait(lambda: f"{A}/32" in lab.denied(), "the rule is in the kernel")
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace("[firewall]", '[firewall]\nverdict = "reject"'))
    assert daemon.cli("reload").returncode == 0
    rule = f'rule family="ipv4" source address="{A}/32" reject'
    daemon.wait(lambda: lab.rules() == {rule}, "the rule is a reject")


def test_strict_jails_ask_a_real_mariadb(
    lab: Lab, folder: Path, mariadb: MariaDB, tmp_path: Path
) -> None:
    """Unknown accounts are banned at once; while the server is down nobody is, and it is said."""
    mariadb.execute("CREATE DATABASE IF NOT EXISTS strict_jails")
    mariadb.execute("CREATE TABLE IF NOT EXISTS strict_jails.mailbox (username VARCHAR(255))")
    mariadb.execute("INSERT INTO strict_jails.mailbox VALUES ('info@example.org')")
    (tmp_path / "password").write_text("")
    accounts = (
        f'backend = "mysql"\nhost = "{mariadb.socket}"\nuser = "root"\n'
        f'password_file = "{tmp_path}/password"\ndatabase = "strict_jails"'
    )
    write_config(folder, backend="firewalld", accounts=accounts, more=JAILS)
    with running(lab, folder) as daemon:
        daemon.append("postfix.log", sasl(B, "info"), sasl(A, "oracle"))
        daemon.wait(lambda: lab.denied() == {f"{A}/32"}, "only the unknown name is banned")
        mariadb.stop()
        try:
            daemon.append("postfix.log", *(sasl(C, f"user{n}") for n in range(3)))
            daemon.append("secure", ssh(B))
            expected = {f"{one}/32" for one in (A, B, C)}
            daemon.wait(lambda: lab.denied() == expected, "the other jails go on")
            daemon.wait(lambda: daemon.status()["accounts"]["state"] == "down", "it is said")
            assert daemon.banned()["postfix-sasl-unknown"] == {f"{A}/32"}
        finally:
            mariadb.start()

        def answers_again() -> bool:
            daemon.append("postfix.log", sasl(ATTACKERS4[3], "admin"))
            return f"{ATTACKERS4[3]}/32" in daemon.banned()["postfix-sasl-unknown"]

        def let_in() -> bool:  # again and again: lines of before may still be unread
            daemon.cli("unban", "--all")
            return not lab.denied()

        daemon.wait(answers_again, "the server is asked again")
        daemon.wait(let_in, "nobody is left banned")

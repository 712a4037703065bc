"""The daemon as a whole, on the dry-run firewall: counting, banning, restarting, stopping."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.command import program
from tests.running import Running, rcpt, sasl, ssh, ssh_password, write_config

A, B = "203.0.113.5", "203.0.113.6"


def test_the_failure_that_reaches_maxretry_brings_the_ban(daemon: Running) -> None:
    """Two refused logins ban nobody, the third one does."""
    daemon.append("postfix.log", sasl(A, "info"), sasl(A, "info"), sasl(B, "info"))
    daemon.settled()
    assert daemon.banned()["postfix-sasl"].isdisjoint({f"{A}/32", f"{B}/32"})
    daemon.append("postfix.log", sasl(A, "sales"))
    daemon.wait_banned("postfix-sasl", f"{A}/32")
    assert f"{B}/32" not in daemon.banned()["postfix-sasl"]


def test_a_ban_is_one_log_line_that_others_can_find(daemon: Running) -> None:
    """The line holds `[jail] Ban ADDRESS`, and jail, failures, user, until and milliseconds."""
    daemon.following()
    daemon.append("secure", ssh(A, "test"))
    daemon.wait(lambda: "[sshd-unknown] Ban" in daemon.log(), "the ban is logged")
    line = next(one for one in daemon.log().splitlines() if "Ban" in one)
    assert f"[sshd-unknown] Ban {A} " in line
    for part in ("jail=sshd-unknown", "failures=1", "user=test", "until=20"):
        assert part in line
    assert re.search(r" ms=\d+\.\d", line)


def test_status_tells_what_the_contract_promises(daemon: Running) -> None:
    """Every field of the outside contract is there after a ban, and reaction times are counted."""
    daemon.following()
    daemon.append("secure", ssh(A, "test"))
    daemon.wait(lambda: daemon.status()["reaction_ms"]["count"], "a ban is in force")
    status = daemon.status()
    assert status["version"] == 1
    assert status["pid"] == daemon.process.pid
    assert status["config"].keys() >= {"path", "loaded_at", "last_reload"}
    assert status["firewall"].keys() >= {"backend", "state", "zone", "bans_in_force"}
    assert status["firewall"]["bans_in_force"] == 1
    assert status["accounts"].keys() >= {"backend", "state", "lookups", "failures"}
    assert status["sources"][0].keys() >= {"name", "paths", "state", "lines", "last_line_at"}
    jail = daemon.jail("sshd-unknown")
    assert {
        "name", "enabled", "source", "failures_now", "failures_total", "banned_now",
        "banned_total", "bans",
    } <= jail.keys()  # fmt: skip
    (ban,) = jail["bans"]
    assert ban["user"] == "test"
    assert ban["failures"] == 1
    assert status["reaction_ms"]["count"] == 1
    assert status["reaction_ms"]["p50"] > 0


def test_one_reader_serves_all_jails_of_a_source(daemon: Running) -> None:
    """A line that two jails watch for is read once and counted in both."""
    daemon.append("postfix.log", rcpt(A, "x@example.org"), sasl(A, "info"))
    daemon.wait(lambda: daemon.jail("postfix-sasl")["failures_total"] == 1, "it is counted")
    daemon.wait(lambda: daemon.source("postfix")["lines"] == 2, "both lines are read, once")
    assert daemon.jail("postfix-rcpt-unknown")["failures_total"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_bans_and_counts_outlive_the_daemon(daemon: Running, number: int) -> None:
    """After a stop or a kill bans keep their end, and half-counted attackers are not forgotten."""
    daemon.append("secure", ssh(A, "test"))
    daemon.append("postfix.log", sasl(B, "info"), sasl(B, "info"))
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    daemon.wait(lambda: _stored_failures(daemon.folder) == 2, "the counts are saved")
    daemon.wait(lambda: _rows(daemon.folder, "SELECT subject FROM bans"), "the ban is saved")
    until = daemon.jail("sshd-unknown")["bans"][0]["until"]
    daemon.stop(number)

    daemon.start()
    daemon.following()  # before that the counts may still be on their way
    assert daemon.jail("sshd-unknown")["bans"][0]["until"] == until
    assert daemon.jail("postfix-sasl")["failures_now"] == 2, "no line is counted twice"
    daemon.append("postfix.log", sasl(B, "info"))
    daemon.wait_banned("postfix-sasl", f"{B}/32")


def test_lines_written_while_the_daemon_was_down_count_at_their_stamp(daemon: Running) -> None:
    """Failures of the last hour lead to a ban that began with them; older ones do not count."""
    daemon.append("secure", ssh("203.0.113.9"))
    daemon.wait_banned("sshd-unknown", "203.0.113.9/32")
    daemon.wait(lambda: _stored_marks(daemon.folder), "the position is saved")
    daemon.stop()
    recent, old = time.time() - 600, time.time() - 7200
    daemon.append("secure", *(ssh_password(A, at=recent + n) for n in range(3)))
    daemon.append("secure", *(ssh_password(B, at=old + n) for n in range(3)))
    daemon.start()
    daemon.wait_banned("sshd", f"{A}/32")
    daemon.settled()
    (ban,) = daemon.jail("sshd")["bans"]
    assert ban["address"] == f"{A}/32"
    since = time.mktime(time.strptime(ban["since"][:19], "%Y-%m-%dT%H:%M:%S"))
    assert abs(since - (recent + 2)) <= 1
    for address, lines in ((A, 3), (B, 0)):
        assert len(json.loads(daemon.cli("why", address, "--json").stdout)["lines"]) == lines


def test_the_first_start_reads_the_last_findtime(folder: Path) -> None:
    """What happened in the hour before the first start counts, what is older does not."""
    daemon = Running(folder)
    now = time.time()
    daemon.append("secure", *(ssh_password(B, at=now - 9000 + n) for n in range(3)))
    daemon.append("secure", *(ssh_password(A, at=now - 900 + n) for n in range(3)))
    with daemon:
        daemon.wait_banned("sshd", f"{A}/32")
        assert daemon.banned()["sshd"] == {f"{A}/32"}


def test_a_user_who_mistypes_twice_is_not_banned(daemon: Running) -> None:
    """Dovecot logs each attempt, and again at the end of its connection: that is two failures."""
    with daemon.config.open("a") as file:
        file.write('[jails.dovecot]\nsource = "dovecot"\nfilter = "dovecot"\n')
    assert daemon.cli("reload").returncode == 0
    daemon.following()  # what is caught up counts at its stamp, which is long ago
    for session in ("one", "two"):
        daemon.append(
            "dovecot.log",
            f"May 01 06:43:08 auth-worker(bob,{A})<7><{session}>: request [1]: Info: sql: "
            "Password mismatch",
            "May 01 06:43:10 imap-login: Info: Login aborted: Connection closed (auth failed, 1 "
            f"attempts in 2 secs) (auth_failed): user=<bob>, method=PLAIN, rip={A}, "
            f"lip=192.0.2.10, TLS, session=<{session}>",
        )
    daemon.wait(lambda: daemon.jail("dovecot")["failures_total"] == 4, "all lines are seen")
    assert daemon.jail("dovecot")["failures_now"] == 2
    assert daemon.banned() == {}


def test_a_line_that_comes_while_we_follow_counts_when_it_comes(daemon: Running) -> None:
    """Its stamp does not matter, be it the first line after a start, or in a wrong year or zone."""
    daemon.following()
    daemon.append("secure", ssh(A, at=time.time() - 9000))
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    daemon.wait(lambda: daemon.status()["reaction_ms"]["count"] == 1, "it counts as live")
    daemon.stop()
    daemon.start()
    daemon.following()
    daemon.append("secure", ssh(B, at=time.time() + 9000))
    daemon.wait_banned("sshd-unknown", f"{B}/32")
    daemon.wait(lambda: daemon.status()["reaction_ms"]["count"] == 1, "it counts as live")


def test_sigterm_stops_cleanly(daemon: Running) -> None:
    """The exit status is 0, the socket is gone, and the log says that bans stay."""
    assert daemon.stop() == 0
    assert not (daemon.folder / "control.sock").exists()
    assert "bans stay in force" in daemon.log()
    assert "Traceback" not in daemon.log()


def test_a_second_daemon_on_the_same_state_is_refused(daemon: Running) -> None:
    """It ends with one sentence that names the state file, and the first one goes on."""
    second = program("-c", str(daemon.config), "run")
    assert second.returncode == 1
    assert f"{daemon.folder}/state.db: another mailbanned is running" in second.stderr
    assert daemon.status()["pid"] == daemon.process.pid


def test_what_a_crash_left_behind_is_replaced(daemon: Running) -> None:
    """After kill -9 the socket is still there; the next daemon takes its place."""
    daemon.stop(signal.SIGKILL)
    assert (daemon.folder / "control.sock").exists()
    daemon.start()
    assert daemon.status()["pid"] == daemon.process.pid


def _rows(folder: Path, query: str) -> list[tuple[str]]:
    with closing(sqlite3.connect(f"file:{folder}/state.db?mode=ro", uri=True)) as state:
        return state.execute(query).fetchall()


def _stored_failures(folder: Path) -> int:
    rows = _rows(folder, "SELECT times FROM windows WHERE jail = 'postfix-sasl'")
    return sum(times.count(",") + 1 for (times,) in rows)


def _stored_marks(folder: Path) -> bool:
    return any(
        '"offset": 0' not in mark for (mark,) in _rows(folder, "SELECT value FROM checkpoints")
    )


GROWING = """
[jails.sshd-unknown]
source = "sshd"
filter = "sshd-unknown"
maxretry = 1
bantime = "1s"
bantime_factor = 100
"""


def test_bans_grow_over_restarts(folder: Path) -> None:
    """Bans of earlier runs count, but for those that were lifted by hand and what was before."""
    write_config(folder, more=GROWING)

    def history() -> list[Any]:
        return _rows(folder, "SELECT round(until - since), how FROM history")

    for number in range(4):
        with Running(folder) as daemon:
            daemon.following()  # else a ban of one second may be over when the line is read
            daemon.append("secure", ssh(A, f"user{number}"))
            daemon.wait(lambda: len(history()) > number, "it is banned")  # noqa: B023
            if number == 1:
                assert daemon.cli("unban", A).returncode == 0
            if number < 3:
                daemon.wait(lambda: history()[-1][1], "the ban has ended")
    assert history() == [(1, "expired"), (100, "by hand"), (1, "expired"), (100, None)]

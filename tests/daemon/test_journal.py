"""A daemon whose sources are in the journal: reloads and restarts lose and repeat nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import Running, write_config
from tests.sources.journals import STAND_IN, Journal

A = "203.0.113.5"

CONFIG = """
[sources.ssh-journal]
journal = ["sshd.service"]
[jails.ssh-journal]
source = "ssh-journal"
filter = "sshd"
maxretry = 100
[jails.fence]
source = "ssh-journal"
filter = "sshd-unknown"
maxretry = 1
"""
# Another name of the source; the jail is the same.
RENAMED = CONFIG.replace("ssh-journal", "ssh-too").replace("[jails.ssh-too]", "[jails.ssh-journal]")
MAIL = """
[sources.mail-journal]
journal = ["postfix"]
[jails.mail-journal]
source = "mail-journal"
filter = "postfix-sasl"
maxretry = 100
"""
# The mail server's unit belongs to the other source; the jail is the same.
TOGETHER = (
    CONFIG.replace('["sshd.service"]', '["postfix", "sshd.service"]')
    + MAIL.replace('source = "mail-journal"', 'source = "ssh-journal"').replace(
        '["postfix"]', '["dovecot"]'
    )
    + """
[jails.other]
source = "mail-journal"
filter = "dovecot"
"""
)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "journalctl"
    journal = Journal(tmp_path / "journal")
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -S {STAND_IN} {journal.path} "$@"\n')
    script.chmod(0o755)
    return journal


@pytest.fixture
def daemon(tmp_path: Path, journal: Journal) -> Iterator[Running]:
    write_config(tmp_path, more=CONFIG)
    path = f"{journal.path.parent}/bin:{os.environ['PATH']}"
    with Running(tmp_path, env={"PATH": path}) as running:
        yield running


def refused(journal: Journal) -> None:
    """A wrong password from A at sshd, in a process of its own, and one at the mail server."""
    journal.write(f"Failed password for root from {A} port 50122 ssh2", _PID=f"{journal.written}")
    text = "SASL LOGIN authentication failed: (reason unavailable), sasl_username=x"
    journal.postfix(f"warning: unknown[{A}]: {text}")


def counted(daemon: Running, journal: Journal, fences: list[str]) -> None:
    """Returns when everything in the journal has been counted: whoever came last is banned."""
    fences.append(f"198.51.100.{len(fences) + 1}")
    journal.write(f"Invalid user oracle from {fences[-1]} port 50122", _PID=f"{journal.written}")
    daemon.wait(
        lambda: any(f"{fences[-1]}/32" in found for found in daemon.banned().values()),
        "the fence is banned",
    )


def counted_mail(daemon: Running, failures: int) -> None:
    """Returns when the other source, which no fence is in, has counted as many."""
    daemon.wait(lambda: daemon.jail("mail-journal")["failures_now"] == failures, "all mail counts")


def reload(daemon: Running, config: str) -> None:
    write_config(daemon.folder, more=config)
    result = daemon.cli("reload")
    assert result.returncode == 0, result.stderr


def test_every_line_counts_once(daemon: Running, journal: Journal) -> None:
    """Sources that are added, changed, renamed and removed, and a kill, leave the counts right."""
    fences: list[str] = []
    more = CONFIG.replace('["sshd.service"]', '["sshd.service", "dovecot"]')
    wanted = 0
    for config in (CONFIG + MAIL, RENAMED + MAIL, more + MAIL):
        reload(daemon, config)
        refused(journal)
        counted(daemon, journal, fences)
        wanted += 1
        # The invalid user counts in both jails of sshd.
        assert daemon.jail("ssh-journal")["failures_now"] == 2 * wanted
        counted_mail(daemon, wanted)
    daemon.stop(signal.SIGKILL)
    refused(journal)
    daemon.start()
    counted(daemon, journal, fences)
    counted_mail(daemon, wanted + 1)
    assert daemon.jail("ssh-journal")["failures_now"] == 2 * (wanted + 1)


@pytest.mark.parametrize("away", [signal.SIGTERM, signal.SIGKILL])
def test_a_source_that_is_renamed_and_renamed_back(
    daemon: Running, journal: Journal, away: int
) -> None:
    """Be it by a reload or while the daemon is down: reading goes on where it was left last."""
    fences: list[str] = []
    refused(journal)
    counted(daemon, journal, fences)
    reload(daemon, RENAMED)
    for config in (CONFIG, RENAMED, CONFIG):
        refused(journal)
        counted(daemon, journal, fences)
        daemon.wait(lambda: saved(daemon.folder) == 2 * len(fences), "all is saved")
        daemon.stop(away)
        write_config(daemon.folder, more=config)
        daemon.start()
    refused(journal)
    counted(daemon, journal, fences)
    assert daemon.jail("ssh-journal")["failures_now"] == 2 * len(fences)


def test_units_change_places_between_two_sources(daemon: Running, journal: Journal) -> None:
    """Each resumes where its unit was left, there and back, while the daemon is down."""
    fences: list[str] = []
    reload(daemon, CONFIG + MAIL)
    for config in (TOGETHER, CONFIG + MAIL, TOGETHER):
        refused(journal)
        counted(daemon, journal, fences)
        daemon.wait(lambda: saved(daemon.folder) == 2 * len(fences), "all is saved")
        daemon.stop()
        write_config(daemon.folder, more=config)
        daemon.start()
    refused(journal)
    counted(daemon, journal, fences)
    assert daemon.jail("ssh-journal")["failures_now"] == 2 * len(fences)
    counted_mail(daemon, len(fences))


def saved(folder: Path) -> int:
    """How many failures of the jail the state file holds."""
    with closing(sqlite3.connect(folder / "state.db")) as db:
        rows = db.execute("SELECT times FROM windows WHERE jail = 'ssh-journal'").fetchall()
    return sum(len(json.loads(times)) for (times,) in rows)

"""Strict jails with an account database (SQLite here): who exists, and what an outage does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import Running, sasl, write_config

A, B, C = "203.0.113.5", "203.0.113.6", "203.0.113.7"


@pytest.fixture
def daemon(folder: Path) -> Iterator[Running]:
    with closing(sqlite3.connect(folder / "mail.db")) as database:
        database.execute("CREATE TABLE mailbox (username TEXT)")
        database.execute("INSERT INTO mailbox VALUES ('info@example.org')")
        database.commit()
    write_config(folder, accounts=f'backend = "sqlite"\ndatabase = "{folder}/mail.db"')
    with Running(folder) as running:
        yield running


def test_an_unknown_account_is_banned_at_once_and_a_known_one_is_not(daemon: Running) -> None:
    """The strict jail strikes at the first attempt at a name that is not in the database."""
    daemon.append("postfix.log", sasl(B, "info@example.org"), sasl(C, "INFO"), sasl(A, "oracle"))
    daemon.wait_banned("postfix-sasl-unknown", f"{A}/32")
    daemon.wait(lambda: daemon.status()["accounts"]["lookups"] == 3, "all were looked up")
    assert daemon.banned() == {"postfix-sasl-unknown": {f"{A}/32"}}
    assert daemon.status()["accounts"]["state"] == "up"


def test_without_the_database_the_strict_jail_is_quiet_and_the_lenient_one_counts(
    daemon: Running,
) -> None:
    """An outage bans nobody at the first attempt, and status says that it is down."""
    (daemon.folder / "mail.db").rename(daemon.folder / "away.db")
    daemon.append("postfix.log", *(sasl(A, f"user{n}") for n in range(3)))
    daemon.wait_banned("postfix-sasl", f"{A}/32")
    daemon.wait(lambda: daemon.status()["accounts"]["state"] == "down", "it is seen to be down")
    assert daemon.banned() == {"postfix-sasl": {f"{A}/32"}}
    (daemon.folder / "away.db").rename(daemon.folder / "mail.db")

    def answers_again() -> bool:
        daemon.append("postfix.log", sasl(B, "oracle"))
        return f"{B}/32" in daemon.banned().get("postfix-sasl-unknown", ())

    daemon.wait(answers_again, "it is asked again")


def test_a_hostile_name_is_harmless(daemon: Running) -> None:
    """Quotes, wildcards, SQL and names of 8 KB neither break a query nor count as unknown."""
    for name in ("' OR 1=1 --", "%", 'x"; DROP TABLE mailbox; --', "a" * 7900, "?" * 20, "\x01"):
        daemon.append("postfix.log", sasl(C, name))
    daemon.append("postfix.log", sasl(A, "oracle"))
    daemon.wait_banned("postfix-sasl-unknown", f"{A}/32")
    assert daemon.status()["accounts"]["failures"] == 0
    daemon.append("postfix.log", sasl(B, "info@example.org"))
    daemon.settled()
    assert f"{B}/32" not in daemon.banned()["postfix-sasl-unknown"]

"""SQLiteLookup on real files: what it finds, and that nothing but AccountsDown comes out."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbanned.accounts import AccountsDown, CachedAccounts, Lookup, SQLiteLookup
from mailbanned.clock import SystemClock
from tests.waiting import HANG_S

QUERY = "SELECT 1 FROM mailbox WHERE username = :user OR username LIKE :user || '@%' LIMIT 1"
LONG = """WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 10000000000)
    SELECT :user FROM n WHERE x < 0"""
STRANGERS = ["mallory", "alic", "alice@example.com", "caf\u00e9", "\U0001f600", "a" * 8192]
STRANGERS += ["' OR 1=1 -- ", "x'; DROP TABLE mailbox; --", '"', "\\", "\\'", "%s", ":user"]
WRONG_QUERIES = ["SELECT 1 FROM nothing WHERE name = :user", "SELECT", "SELECT 1 WHERE 'a' = :name"]
WRONG_QUERIES += ["SELECT 1; SELECT :user", "SELECT 1 WHERE 'a' = %(user)s"]


def write(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "50% of #mail?.db"  # characters that mean something in a URI
    write(
        path,
        "CREATE TABLE mailbox (username TEXT PRIMARY KEY, active INTEGER)",
        "INSERT INTO mailbox VALUES ('alice@example.org', 1), ('retired@example.org', 0)",
    )
    return path


@pytest.mark.parametrize("name", ["alice@example.org", "alice", "retired@example.org"])
async def test_found(path: Path, name: str) -> None:
    """An account is found by its full name and by its local part, also when it is switched off."""
    lookup: Lookup = SQLiteLookup(path, QUERY)
    assert await lookup.exists(name) is True


@pytest.mark.parametrize("name", STRANGERS)
async def test_not_found(path: Path, name: str) -> None:
    """Any other name is no account, and is nothing but a value to the database."""
    assert await SQLiteLookup(path, QUERY).exists(name) is False


@settings(max_examples=50)
@given(name=st.text())
async def test_any_text(path: Path, name: str) -> None:
    """No text is trouble to the cache, and a lookup answers it or raises AccountsDown."""
    lookup = SQLiteLookup(path, QUERY)
    with suppress(AccountsDown):
        await lookup.exists(name)
    accounts = CachedAccounts(lookup, SystemClock(), timeout=HANG_S)
    await accounts.exists(name)
    assert accounts.state().failures == 0


async def test_new_account(path: Path) -> None:
    """An account that was created a moment ago is found."""
    lookup = SQLiteLookup(path, QUERY)
    assert await lookup.exists("carol") is False
    write(path, "INSERT INTO mailbox VALUES ('carol@example.org', 1)")
    assert await lookup.exists("carol") is True


async def test_text_that_is_no_utf8(path: Path) -> None:
    """A name that cannot be handed to the database is trouble of the usual kind."""
    with pytest.raises(AccountsDown, match="surrogates"):
        await SQLiteLookup(path, QUERY).exists("\udcff")


async def test_missing_file(tmp_path: Path) -> None:
    """A missing database is trouble, is named, and is not created by asking."""
    path = tmp_path / "none.db"
    with pytest.raises(AccountsDown, match=r"unable to open.*none\.db"):
        await SQLiteLookup(path, QUERY).exists("alice")
    assert not path.exists()


async def test_not_a_database(tmp_path: Path) -> None:
    """A file that is no database is trouble."""
    path = tmp_path / "text.db"
    path.write_text("this is no database at all\n" * 100)
    with pytest.raises(AccountsDown, match="not a database"):
        await SQLiteLookup(path, QUERY).exists("alice")


@pytest.mark.parametrize("query", WRONG_QUERIES)
async def test_wrong_query(path: Path, query: str) -> None:
    """A query that does not fit the database is trouble, never "unknown"."""
    with pytest.raises(AccountsDown):
        await SQLiteLookup(path, query).exists("alice")


async def test_read_only(path: Path) -> None:
    """Not even a query that writes can change the database."""
    with pytest.raises(AccountsDown, match="readonly"):
        await SQLiteLookup(path, "DELETE FROM mailbox WHERE :user != ''").exists("alice")
    assert await SQLiteLookup(path, QUERY).exists("alice") is True


async def test_locked(path: Path) -> None:
    """While somebody holds the database the answer is "cannot tell"; afterwards it is right."""
    lookup = SQLiteLookup(path, QUERY)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(AccountsDown, match="locked"):
            await lookup.exists("alice")
    assert await lookup.exists("alice") is True


async def test_long_query(path: Path) -> None:
    """A query of hours is "cannot tell" after the timeout, and its thread does not go on."""
    accounts = CachedAccounts(SQLiteLookup(path, LONG), SystemClock(), timeout=0.1)
    async with asyncio.timeout(HANG_S):
        assert await accounts.exists("alice") is None
        await asyncio.get_running_loop().shutdown_default_executor()

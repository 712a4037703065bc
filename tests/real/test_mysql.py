"""MySQLLookup on a real MariaDB server: what it finds, hostile names, wrong configurations."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from mailbanned.accounts import AccountsDown
from tests.real.mail_database import EQUAL, MailDatabase, cached, tcp_server

pytestmark = pytest.mark.real

INJECTIONS = ["' OR 1=1 -- ", "\\' OR 1=1 -- ", "\u00bf' OR 1=1 -- ", '" OR ""="', "\\", "'"]
INJECTIONS += ["x'; DROP TABLE mailbox; -- ", "x' UNION SELECT 1 -- ", "%", "_", "%s", "%(user)s"]


@pytest.mark.parametrize("name", ["alice@example.org", "alice", "retired", "caf\u00e9"])
async def test_found(mail: MailDatabase, name: str) -> None:
    """An account is found by full name and local part, whatever its case, also if inactive."""
    assert await mail.lookup().exists(name) is True
    assert await cached(mail.lookup()).exists(name.upper()) is True


@pytest.mark.parametrize("name", ["mallory", "alic", "alice@example.com", "example.org", "a" * 320])
async def test_not_found(mail: MailDatabase, name: str) -> None:
    """Any other name is surely no account."""
    assert await cached(mail.lookup()).exists(name) is False


async def test_unix_socket(mail: MailDatabase) -> None:
    """The server is reached through its socket, too, given as such or as a host that is a path."""
    path = mail.server.socket
    assert await mail.lookup(host="nowhere.invalid", unix_socket=path).exists("alice") is True
    assert await mail.lookup(host=path, port=1).exists("alice") is True


@pytest.mark.parametrize("setting", ["sql_mode = ''", "sql_mode", "init_connect"])
@pytest.mark.parametrize("name", INJECTIONS)
async def test_injection(mail: MailDatabase, name: str, setting: str) -> None:
    """A name is a value and nothing else, however the server reads backslashes."""
    if setting == "sql_mode":
        mail.server.execute("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'")
    elif setting == "init_connect":
        mail.server.execute("SET GLOBAL init_connect = \"SET sql_mode = 'NO_BACKSLASH_ESCAPES'\"")
    lookup = mail.lookup(EQUAL)
    assert await lookup.exists(name) is False
    assert await lookup.exists("alice@example.org") is True


async def test_any_name(mail: MailDatabase) -> None:
    """No name is trouble to the cache: not any byte, not any length, not any character."""
    every = bytes(range(256))
    names = ["x" * 8192, every.decode("latin1"), every.decode("utf-8", "replace"), "\U0001f600"]
    names += [every.decode("utf-8", "surrogateescape"), *(f"a{chr(n)}b" for n in range(256))]
    lookup = mail.lookup(EQUAL)
    accounts = cached(lookup)
    for name in names:
        assert await accounts.exists(name) is not True
    assert (accounts.state().state, accounts.state().failures) == ("up", 0)
    for name in names:
        with suppress(AccountsDown):
            assert await lookup.exists(name) is not True
    assert await lookup.exists("alice@example.org") is True


async def test_character_outside_the_column(mail: MailDatabase) -> None:
    """A name that the column's character set cannot hold is "cannot tell", and no outage."""
    lookup = mail.lookup(EQUAL.replace("mailbox", "old"))
    assert await lookup.exists("\U0001f600") is None
    assert await lookup.exists("mallory") is False


async def test_query_that_mixes_collations(mail: MailDatabase) -> None:
    """A query that can compare no name at all is trouble."""
    mixed = EQUAL.replace("= %(user)s", "COLLATE utf8mb4_bin = %(user)s COLLATE utf8mb4_general_ci")
    with pytest.raises(AccountsDown, match="collations"):
        await mail.lookup(mixed).exists("alice")


async def test_warnings_of_the_server(mail: MailDatabase) -> None:
    """A query that makes the server warn is answered like any other."""
    lookup = mail.lookup(EQUAL.replace("LIMIT", "AND CAST('x' AS SIGNED) = 0 LIMIT"))
    assert await lookup.exists("alice@example.org") is True


async def test_wrong_password(mail: MailDatabase) -> None:
    """A refused password is trouble, and is in no message."""
    with pytest.raises(AccountsDown, match="Access denied") as caught:
        await mail.lookup(password="YES").exists("alice")
    assert "YES" not in str(caught.value)


WRONG = [
    ({"query": "SELECT 1 FROM nothing WHERE name = %(user)s"}, "nothing' doesn't exist"),
    ({"query": "SELECT WHERE %(user)s"}, "syntax"),
    ({"query": "SELECT 1 WHERE 'a' = %(name)s"}, "KeyError: name"),
    ({"query": "SELECT 1 WHERE %(user)s LIKE '%@b'"}, "not enough arguments"),
    ({"query": f"SELECT %({'name' * 100})s"}, "KeyError: namename"),
    ({"database": "nothing"}, "Access denied"),
    ({"port": 1}, "Can't connect.*Connect call failed"),
    ({"host": "/nowhere/mysql.sock"}, "No such file"),
]


@pytest.mark.parametrize(("wrong", "reason"), WRONG)
async def test_wrong_configuration(mail: MailDatabase, wrong: dict[str, Any], reason: str) -> None:
    """A wrong query, database or server is trouble with a short reason, never "unknown"."""
    with pytest.raises(AccountsDown, match=reason) as caught:
        await mail.lookup(**wrong).exists("alice")
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize("greeting", [b"", b"220 mail ESMTP\r\n", b"\xff" * 64, b"\x01\0\0\0\x0a"])
async def test_not_a_database(mail: MailDatabase, greeting: bytes) -> None:
    """A server that speaks something else, or nothing, is trouble, and its connection is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()

    async with tcp_server(serve) as port:
        accounts = cached(mail.lookup(port=port), timeout=0.2)
        assert await accounts.exists("alice") is None
        assert accounts.state().state == "down"

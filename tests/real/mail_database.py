"""The mail database that the account tests ask, and other servers that they meet instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from mailbanned.accounts import Accounts, CachedAccounts, MySQLLookup
from mailbanned.clock import SystemClock
from tests.real.mariadb import MariaDB
from tests.waiting import HANG_S

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PASSWORD = "p\u00e4ssw\u00f6rd \u20ac"

EQUAL = "SELECT 1 FROM mailbox WHERE username = %(user)s LIMIT 1"
QUERY = EQUAL.replace("LIMIT", "OR username LIKE CONCAT(%(user)s, '@%%') LIMIT")

_SCHEMA = f"""
    SET GLOBAL sql_mode = DEFAULT; SET GLOBAL init_connect = ''; SET GLOBAL general_log = OFF;
    CREATE OR REPLACE DATABASE mailserver CHARACTER SET utf8mb4;
    USE mailserver;
    CREATE TABLE mailbox (username VARCHAR(255) PRIMARY KEY, active BOOL NOT NULL);
    INSERT INTO mailbox VALUES ('Alice@example.org', 1), ('retired@example.org', 0),
        ('slow@example.org', 1), ('caf\u00e9@example.org', 1);
    CREATE TABLE old (username VARCHAR(255) CHARACTER SET latin1 PRIMARY KEY);
    CREATE OR REPLACE USER mailbanned@localhost IDENTIFIED BY '{PASSWORD}';
    CREATE OR REPLACE USER mailbanned@127.0.0.1 IDENTIFIED BY '{PASSWORD}';
    GRANT SELECT ON mailserver.* TO mailbanned@localhost, mailbanned@127.0.0.1;
"""


class MailDatabase:
    """A fresh mail database on a running server, and the lookups that a test makes on it."""

    def __init__(self, server: MariaDB) -> None:
        self.server = server
        self._made: list[MySQLLookup] = []
        server.execute(_SCHEMA)

    def lookup(self, query: str = QUERY, **changes: Any) -> MySQLLookup:
        """A lookup as it should be configured, but for the changes."""
        options: dict[str, Any] = {"host": self.server.host, "port": self.server.port}
        options |= {"user": "mailbanned", "password": PASSWORD, "database": "mailserver"}
        options |= {"query": query, "connect_timeout": HANG_S}
        self._made.append(MySQLLookup(**(options | changes)))
        return self._made[-1]

    async def close(self) -> None:
        """Closes all lookups."""
        for lookup in self._made:
            await lookup.close()


def cached(lookup: MySQLLookup, timeout: float = HANG_S, unknown_for: float = 30) -> CachedAccounts:
    """The lookup behind the cache, on the machine's clock."""
    return CachedAccounts(lookup, SystemClock(), timeout, unknown_for=unknown_for)


async def becomes(accounts: Accounts, name: str, expected: bool) -> None:
    """Asks until the answer is as expected."""
    async with asyncio.timeout(HANG_S):
        while await accounts.exists(name) is not expected:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)


@asynccontextmanager
async def tcp_server(serve: Serve) -> AsyncIterator[int]:
    """Serves on a free port, which it gives. At the end the clients must have hung up."""
    running: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.create_task(one(reader, writer)))

    async with await asyncio.start_server(start, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1]
    async with asyncio.timeout(HANG_S):
        await asyncio.gather(*running)

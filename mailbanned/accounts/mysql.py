"""Asks a MySQL or MariaDB server whether an account exists. The only file that knows aiomysql.

A name reaches the server only as an escaped parameter. A connection is kept only after a query that
went well; one that failed or was cancelled halfway is closed, since the rest of its answer would be
read as the answer to the next query. aiomysql's own pool is not used: it may hand out a second dead
connection after the first, and it connects under a lock that makes all others wait.

Queries share a connection as long as they are quick: a wave of attackers has its answers sooner.

Known limits: no TLS, so use a unix socket or loopback. As many connections are open as slow queries
run at once; the cache in front keeps that small. Timeouts are the caller's: cancel the query.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import aiomysql

from mailbanned.accounts.base import AccountsDown

# Server errors which say that the column's character set lacks a character of the name: an emoji
# asked of a latin1 column, say. Anybody can send such a name, so it must not count as trouble.
_CANNOT_COMPARE = {1267, 1270, 1271, 3854, 3988}

# Makes the driver's view of the session true whatever the server's init_connect did: the answer
# carries NO_BACKSLASH_ESCAPES, which decides how parameters are escaped. And no warnings are kept,
# because the driver would raise them as Python warnings.
_GREETING = "SET NAMES utf8mb4, max_error_count = 0"

_LONGEST_REASON = 200

# A connection that is in use is soon free again: most queries take a tenth of what a new one does.
_PATIENCE_S = 0.02


class MySQLLookup:
    """Runs one query for each name; any row means that the account exists.

    host: a name or address, or the path of a unix socket if it starts with "/".
    query: with `%(user)s` where the name goes (quotes included) and `%%` for a literal "%".
    connect_timeout: seconds for a connection to be accepted.
    unix_socket: path of the server's socket, instead of host and port.
    """

    name = "mysql"

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        database: str,
        query: str,
        connect_timeout: float,
        unix_socket: str = "",
    ) -> None:
        if host.startswith("/"):
            host, unix_socket = "localhost", unix_socket or host
        self._query = query
        self._password = password
        self._options: dict[str, Any] = {
            "host": host,
            "port": port,
            "unix_socket": unix_socket or None,
            "user": user,
            # The driver encodes as latin1; like this the server gets UTF-8, as from its own client.
            "password": password.encode().decode("latin1"),
            "db": database,
            "charset": "utf8mb4",
            "autocommit": True,  # else a connection would see the accounts as of its first query
            "init_command": _GREETING,
            "connect_timeout": connect_timeout,
        }
        self._idle: list[aiomysql.Connection] = []
        self._turn = asyncio.Lock()

    async def exists(self, user: str) -> bool | None:
        """See Lookup.exists."""
        mine = await self._take_turn()
        try:
            if self._idle:
                with suppress(Exception):  # the server may have hung up meanwhile
                    return await self._ask(self._idle.pop(), user)
            return await self._ask(await aiomysql.connect(**self._options), user)
        except Exception as error:  # the driver also lets struct, index and key errors out
            raise AccountsDown(self._reason(error)) from None
        finally:
            if mine:
                self._turn.release()

    async def _take_turn(self) -> bool:
        """Waits a little for the connection of somebody else; False if there is another one, or if
        that did not help.
        """
        if self._turn.locked() and self._idle:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                return await self._turn.acquire()
        return False

    async def close(self) -> None:
        """See Lookup.close."""
        while self._idle:
            connection = self._idle.pop()
            try:
                with suppress(Exception):
                    await connection.ensure_closed()  # says goodbye, so the server logs no abort
            finally:
                connection.close()

    async def _ask(self, connection: aiomysql.Connection, user: str) -> bool | None:
        """One query; the connection is idle afterwards, or closed with all idle ones if it failed.

        What broke one connection (a restart, mostly) has broken those that idled beside it.
        """
        try:
            answer = await self._run(connection, user)
        except BaseException:
            for broken in [connection, *self._idle]:
                broken.close()
            self._idle.clear()
            raise
        self._idle.append(connection)
        return answer

    async def _run(self, connection: aiomysql.Connection, user: str) -> bool | None:
        async with connection.cursor() as cursor:
            try:
                await cursor.execute(self._query, {"user": user})
            except aiomysql.Error as error:
                # A plain ASCII name compares with any column: then the query itself is at fault.
                if error.args[0] in _CANNOT_COMPARE and not user.isascii():
                    return None
                raise
            return await cursor.fetchone() is not None

    def _reason(self, error: Exception) -> str:
        """What happened, on one short line; the cause says why a connection was not possible."""
        text = ": ".join([type(error).__name__, *map(str, error.args)])
        if error.__cause__ is not None:
            text += f" ({error.__cause__})"
        if self._password:
            text = text.replace(self._password, "***")
        return " ".join(text.split())[:_LONGEST_REASON]

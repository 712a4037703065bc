"""Asks an SQLite file whether an account exists.

The file is opened for reading only, and anew for every query: that takes a fraction of a
millisecond, and a file that was replaced, restored or not there yet needs no further thought. The
standard library's sqlite3 in a thread serves that better than an asynchronous driver, which would
start a thread of its own for each connection.

Known limits: `=` compares case in SQLite, and names arrive in lower case; a table with capitals in
it needs COLLATE NOCASE in the query. A file in WAL mode can only be read where its -shm and -wal
files can be (or can be made).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from mailbanned.accounts.base import AccountsDown

_LOCK_WAIT = 0.1  # seconds that a query waits for somebody who writes
_STEPS = 10_000  # SQLite instructions between two looks at whether anybody still waits


class SQLiteLookup:
    """Runs one query for each name; any row means that the account exists.

    path: the database file.
    query: with `:user` where the name goes.
    """

    name = "sqlite"

    def __init__(self, path: str | Path, query: str) -> None:
        self._path = Path(path)
        self._query = query

    async def exists(self, user: str) -> bool:
        """See Lookup.exists."""
        abandoned = threading.Event()
        try:
            return await asyncio.to_thread(self._ask, user, abandoned)
        except Exception as error:  # sqlite3 lets UnicodeEncodeError out, too
            raise AccountsDown(f"{type(error).__name__}: {error} ({self._path})") from None
        finally:
            abandoned.set()  # a thread cannot be cancelled, but its query ends soon

    async def close(self) -> None:
        """Nothing stays open between queries."""

    def _ask(self, user: str, abandoned: threading.Event) -> bool:
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_LOCK_WAIT)) as database:
            database.set_progress_handler(abandoned.is_set, _STEPS)
            return database.execute(self._query, {"user": user}).fetchone() is not None

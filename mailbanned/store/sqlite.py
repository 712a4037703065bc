"""The state in one SQLite file (WAL), which only one daemon at a time may hold.

A commit is not synced to the disk each time (synchronous=NORMAL): it survives a killed daemon, and
after a power failure the file is whole but may be some seconds old, which costs nothing, since
checkpoints and decisions are of one age and the lines are read again.

Known limits: if the file cannot be written while running, the daemon goes on and logs it; what
could not be saved is lost when it stops. The history keeps the newest 100,000 bans of the last
year.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import aiosqlite

from mailbanned.address import Subject
from mailbanned.model import Ban, Unban
from mailbanned.store.base import Changes, CheckpointKey, PastBan, State, StoreError, Windows
from mailbanned.store.packed_counts import PackedWindows

#: Changes when a program of another version could not use the tables.
VERSION = 2
TABLES = """
CREATE TABLE IF NOT EXISTS bans (
    jail TEXT, subject TEXT, since REAL NOT NULL, until REAL, failures INTEGER NOT NULL,
    user TEXT, reason TEXT NOT NULL, PRIMARY KEY (jail, subject)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (
    id INTEGER PRIMARY KEY, jail TEXT, subject TEXT, since REAL NOT NULL, until REAL,
    failures INTEGER NOT NULL, reason TEXT NOT NULL, ended REAL, how TEXT);
CREATE INDEX IF NOT EXISTS history_subject ON history (subject, jail);
CREATE TABLE IF NOT EXISTS windows (
    jail TEXT, subject TEXT, newest REAL NOT NULL, times TEXT NOT NULL,
    PRIMARY KEY (jail, subject)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (
    id INTEGER PRIMARY KEY, name TEXT, source TEXT, value TEXT NOT NULL, UNIQUE (name, source));
"""
#: Saves the windows of a jail (?1) from a document (?2, see Packed). In the order of the table: the
#: rows that share a page of the file are written together, which a flood makes half the work. Of
#: one subject the later one holds. All of it is done by SQLite, while Python counts on.
PUT_WINDOWS = """
INSERT OR REPLACE INTO windows
SELECT ?1, json_extract(value, '$[0]') AS subject, coalesce(json_extract(value, '$[1][#-1]'), 0),
    json_extract(value, '$[1]') FROM json_each(?2) ORDER BY subject, key
"""
#: Deletes those of them without times. Their documents hold NO_TIMES.
DELETE_WINDOWS = """
DELETE FROM windows WHERE jail = ?1 AND times = '[]' AND subject IN (
    SELECT json_extract(value, '$[0]') FROM json_each(?2)
    WHERE json_array_length(value, '$[1]') = 0)
"""
NO_TIMES = "[]]"
#: Takes over the checkpoints of schema 1, in which sources that had been stopped stood as
#: "NAME of PATH". Those of running sources were newer: they are written last.
MIGRATE_FROM_1 = """
INSERT OR REPLACE INTO checkpoints (name, source, value)
SELECT name, iif(instr(source, ' of '), substr(source, 1, instr(source, ' of ') - 1), source), mark
FROM marks ORDER BY instr(source, ' of ') = 0;
DROP TABLE marks;
"""
_HISTORY_AGE = 366 * 86400.0
_HISTORY_ROWS = 100_000

Statement = tuple[str, tuple[float, ...]]


def prune_statements(now: float, findtime: float) -> list[Statement]:
    """Returns what deletes windows and history that are too old, or too many."""
    return [
        ("DELETE FROM windows WHERE newest <= ?", (now - findtime,)),
        (
            "DELETE FROM history WHERE since < ? OR id <= (SELECT max(id) FROM history) - ?",
            (now - _HISTORY_AGE, _HISTORY_ROWS),
        ),
    ]


# How many rows are read at once.
_PORTION = 1000


class SQLiteStore:
    """The state file at `path`; its folder is made if it does not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = -1
        self._connection: aiosqlite.Connection | None = None
        # One at a time: what tidies up would end a transaction that is half written.
        self._turn = asyncio.Lock()

    async def load(self, now: float, findtime: float) -> State:
        """Opens and locks the file. StoreError if another daemon holds it, or it is none."""
        self._take_lock()
        try:
            self._connection = await aiosqlite.connect(self._path, isolation_level=None)
            await self._prepare(now)
            await self._forget_old(now, findtime)
            return await self._read(now)
        except (sqlite3.Error, OSError, ValueError) as error:
            await self.close()
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self._path}: cannot be used as state file ({error}); move it away or mend "
            "its permissions"
        )

    def _take_lock(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            name = self._path.with_name(self._path.name + ".lock")
            self._lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The state holds names, so it is nobody else's. And SQLite would not say what is wrong
            # with a file that cannot be opened.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except BlockingIOError:
            self._drop_lock()
            raise StoreError(
                f"{self._path}: another mailbanned is running on this state; stop it first, or "
                "give this one another [store] path"
            ) from None
        except OSError as error:
            self._drop_lock()
            raise StoreError(
                f"{self._path}: cannot be opened ({error.strerror}); run as the user that owns "
                "it, or name another [store] path"
            ) from None

    def _drop_lock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def _db(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise StoreError(f"{self._path}: is not open")
        return self._connection

    async def _prepare(self, now: float) -> None:
        db = self._db
        await db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        await db.execute("PRAGMA journal_mode=WAL")
        await db.execute("PRAGMA synchronous=NORMAL")
        (version,) = next(iter(await db.execute_fetchall("PRAGMA user_version")))
        if version not in (0, 1, VERSION):
            raise sqlite3.DatabaseError(f"it is of schema {version}, this version knows {VERSION}")
        migrate = MIGRATE_FROM_1 if version == 1 else ""
        await db.executescript(f"BEGIN; {TABLES} {migrate} PRAGMA user_version={VERSION}; COMMIT;")
        await db.execute("DELETE FROM bans WHERE until <= ?", (now,))

    async def _forget_old(self, now: float, findtime: float) -> None:
        db = self._db
        for statement, values in prune_statements(now, findtime):
            await db.execute(statement, values)
        # By itself `execute` stops after the first page.
        await db.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")

    async def _read(self, now: float) -> State:
        db = self._db
        bans = [
            Ban(jail, Subject(subject), since, until, failures, user, reason)
            for jail, subject, since, until, failures, user, reason in await db.execute_fetchall(
                "SELECT jail, subject, since, until, failures, user, reason FROM bans "
                "WHERE until IS NULL OR until > ? ORDER BY since",
                (now,),
            )
        ]
        checkpoints = {
            CheckpointKey(name, source): value
            for name, source, value in await db.execute_fetchall(
                "SELECT name, source, value FROM checkpoints ORDER BY id"
            )
        }
        totals = await db.execute_fetchall("SELECT jail, count(*) FROM history GROUP BY jail")
        return State(bans, checkpoints, {jail: count for jail, count in totals})  # noqa: C416 (rows are no pairs)

    async def windows(self) -> AsyncIterator[Windows]:
        statement = "SELECT jail, subject, times FROM windows ORDER BY newest"
        try:
            async with self._db.execute(statement) as cursor:
                while rows := list(await cursor.fetchmany(_PORTION)):
                    yield {(jail, who): tuple(json.loads(times)) for jail, who, times in rows}
        except (sqlite3.Error, ValueError) as error:
            raise self._unusable(error) from None

    async def past_bans(self, subjects: Sequence[Subject] | None = None) -> list[PastBan]:
        statement = (
            "SELECT jail, subject, since, until, failures, reason, ended, how FROM history "
            "WHERE ?1 IS NULL OR subject IN (SELECT value FROM json_each(?1)) ORDER BY since, id"
        )
        try:
            rows = await self._db.execute_fetchall(statement, (subjects and json.dumps(subjects),))
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: cannot be read ({error})") from None
        return [PastBan(*row) for row in rows]

    async def prune(self, now: float, findtime: float) -> None:
        try:
            async with self._turn:
                await self._forget_old(now, findtime)
        except sqlite3.Error as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: sqlite3.Error) -> StoreError:
        return StoreError(
            f"{self._path}: cannot be written ({error}); free space or mend permissions"
        )

    async def save(self, changes: Changes) -> None:
        try:
            async with self._turn:
                await self._transact(changes)
        except sqlite3.Error as error:
            raise self._unwritable(error) from None

    async def _transact(self, changes: Changes) -> None:
        db = self._db
        try:
            await db.execute("BEGIN IMMEDIATE")
            await self._write(changes)
            await db.execute("COMMIT")
        except BaseException:
            # Refused where nothing is open: it never began, SQLite has ended it by itself,
            # or the commit went through while we were cancelled.
            with suppress(sqlite3.Error):
                await db.execute("ROLLBACK")
            raise

    async def _write(self, changes: Changes) -> None:
        for kind, decisions in groupby(changes.decisions, type):
            if kind is Ban:
                await self._insert_bans([d for d in decisions if isinstance(d, Ban)])
            else:
                await self._delete_bans([d for d in decisions if isinstance(d, Unban)])
        for jail, document in PackedWindows.of(changes.windows).documents():
            await self._db.execute(PUT_WINDOWS, (jail, document))
            if NO_TIMES in document:
                await self._db.execute(DELETE_WINDOWS, (jail, document))
        await self._many(
            "DELETE FROM checkpoints WHERE name = ? AND source = ?", list(changes.checkpoints)
        )
        await self._many(
            "INSERT INTO checkpoints (name, source, value) VALUES (?, ?, ?)",
            [(*key, value) for key, value in changes.checkpoints.items() if value is not None],
        )

    async def _insert_bans(self, bans: Sequence[Ban]) -> None:
        await self._many(
            "INSERT OR REPLACE INTO bans VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (b.jail, b.subject, b.since, b.until, b.failures, _text(b.user), _text(b.reason))
                for b in bans
            ],
        )
        # Without the user: names typed wrongly are personal data and are kept no longer than
        # the ban they led to.
        await self._many(
            "INSERT INTO history (jail, subject, since, until, failures, reason) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [(b.jail, b.subject, b.since, b.until, b.failures, _text(b.reason)) for b in bans],
        )

    async def _delete_bans(self, unbans: Sequence[Unban]) -> None:
        await self._many(
            "UPDATE history SET ended = ?, how = ? "
            "WHERE jail = ? AND subject = ? AND ended IS NULL",
            [(u.at, u.reason, u.jail, u.subject) for u in unbans],
        )
        await self._many(
            "DELETE FROM bans WHERE jail = ? AND subject = ?", [(u.jail, u.subject) for u in unbans]
        )

    async def _many(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Nothing to do is nothing asked: each statement is a trip to the database's thread."""
        if rows:
            await self._db.executemany(statement, rows)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        self._drop_lock()


def _text(given: str | None) -> str | None:
    """Text from outside as SQLite can keep it: half a surrogate pair becomes a question mark."""
    return None if given is None else given.encode("utf-8", "replace").decode("utf-8")

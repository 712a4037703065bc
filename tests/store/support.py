"""Bans and an open store for these tests."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from mailbanned.address import Subject
from mailbanned.model import Ban, Unban
from mailbanned.store import Changes, SQLiteStore, State, StoreError, Windows

NOW = 1_777_600_000.0
FINDTIME = 31 * 86400.0


def subject(number: int) -> Subject:
    return Subject(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32")


def ban(number: int = 1, jail: str = "sshd", until: float | None = NOW + 100, **more: Any) -> Ban:
    """A ban as it comes back from the store: `ticks` means nothing to another process."""
    values: dict[str, Any] = {"failures": 3, "user": "info", "reason": "sshd/failed", **more}
    return Ban(jail, subject(number), values.pop("since", NOW - 10), until, **values)


def unban(number: int = 1, jail: str = "sshd") -> Unban:
    return Unban(jail, subject(number), NOW, "by hand")


@asynccontextmanager
async def opened(path: Path, now: float = NOW) -> AsyncIterator[SQLiteStore]:
    """A loaded store on the path, closed at the end."""
    store = SQLiteStore(path)
    await store.load(now, FINDTIME)
    try:
        yield store
    finally:
        await store.close()


async def saved(path: Path, *transactions: Changes) -> None:
    """Does the transactions in one run of a daemon."""
    async with opened(path) as store:
        for changes in transactions:
            await store.save(changes)


async def state_at(path: Path, now: float = NOW) -> State:
    """What a daemon that starts at `now` would find."""
    store = SQLiteStore(path)
    try:
        return await store.load(now, FINDTIME)
    finally:
        await store.close()


async def windows_at(path: Path, now: float = NOW) -> Windows:
    """The counts that a daemon that starts at `now` would find."""
    async with opened(path, now) as store:
        return {key: times async for some in store.windows() for key, times in some.items()}


async def refusal(path: Path) -> str:
    """Why a store on this path cannot be loaded."""
    with pytest.raises(StoreError) as caught:
        await state_at(path)
    return str(caught.value)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What somebody finds who looks into the file itself."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def meddle(path: Path, script: str) -> None:
    """What somebody does to the file itself."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)

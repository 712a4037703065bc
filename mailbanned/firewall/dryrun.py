"""The firewall that does nothing: the null twin of the real backends, for `run --dry-run`.

It remembers what it was told, so that everything above it behaves as with a real one.
"""

from __future__ import annotations

import asyncio

from mailbanned.address import Subject
from mailbanned.firewall.base import Listed
from mailbanned.firewall.richrules import bannable


class DryRun:
    """Keeps a set of subjects and touches nothing."""

    name = "dry-run"
    zone = ""
    slots = old_slots = 4

    def __init__(self) -> None:
        self._banned: set[Subject] = set()

    async def connect(self) -> None:
        pass

    async def listed(self) -> Listed:
        return Listed(set(self._banned))

    async def add(self, subject: Subject, until: float | None = None) -> None:
        bannable(subject)
        self._banned.add(subject)

    async def remove(self, subject: Subject) -> None:
        self._banned.discard(subject)

    async def lost(self) -> str:
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    async def close(self) -> None:
        pass

"""The null implementation of a firewall, for `run --dry-run`: it changes no rules.

It remembers the bans, so that everything above it behaves as with a real one.
"""

from __future__ import annotations

import asyncio

from mailbanned.address import Subject
from mailbanned.firewall.base import Listed, network_to_ban


class DryRun:
    """Keeps a set of subjects and changes nothing on the host."""

    name = "dry-run"
    zone = ""
    max_parallel = max_parallel_restores = 4

    def __init__(self) -> None:
        self._banned: set[Subject] = set()

    async def connect(self) -> None:
        pass

    async def list_bans(self) -> Listed:
        return Listed(set(self._banned))

    async def add(self, subject: Subject, until: float | None = None) -> None:
        network_to_ban(subject)
        self._banned.add(subject)

    async def remove(self, subject: Subject) -> None:
        self._banned.discard(subject)

    async def wait_until_lost(self) -> str:
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    async def close(self) -> None:
        pass

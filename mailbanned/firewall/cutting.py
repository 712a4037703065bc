"""Ends the connections that banned subjects still have open: many subjects in one cut.

New bans are cut at once, and those that come during a cut together in the next. Bans that the
firewall lost and that are put again come back one by one, hundreds of them: each cut searches all
sockets of the host, so these wait for each other for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from mailbanned.model import Subject

#: Ends live connections of the subjects.
Cut = Callable[[Collection[Subject]], Awaitable[None]]

_GATHER_S = 0.5  # how long a cut that is not urgent waits for more subjects


class Cutting:
    """Gathers subjects, and cuts their connections in `run`. cut: None leaves all connections."""

    def __init__(self, cut: Cut | None) -> None:
        self._cut = cut
        self._subjects: set[Subject] = set()
        self._due = asyncio.Event()
        self._urgent = asyncio.Event()

    def ask(self, subject: Subject, *, urgent: bool = True) -> None:
        """Cuts the connections of a subject whose packets are dropped from now on.

        urgent: at once; else within half a second, or with the next urgent cut.
        """
        if self._cut is not None:
            self._subjects.add(subject)
            self._due.set()
            if urgent:
                self._urgent.set()

    async def run(self) -> None:
        """Cuts until cancelled."""
        if self._cut is None:
            return
        while True:
            await self._due.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GATHER_S):
                    await self._urgent.wait()
            self._due.clear()
            self._urgent.clear()
            subjects, self._subjects = self._subjects, set()
            await self._cut(subjects)

"""Ends what the banned have still open, all that came while one cut was made in the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from mailbanned.model import Subject

#: Ends live connections of the subjects.
Cut = Callable[[Collection[Subject]], Awaitable[None]]


class Cutting:
    """Gathers subjects while `run` is at a cut. cut: None leaves everybody alone."""

    def __init__(self, cut: Cut | None) -> None:
        self._cut = cut
        self._subjects: set[Subject] = set()
        self._due = asyncio.Event()

    def ask(self, subject: Subject) -> None:
        """The subject's packets are dropped from now on: its connections are to end."""
        if self._cut is not None:
            self._subjects.add(subject)
            self._due.set()

    async def run(self) -> None:
        """Cuts until cancelled."""
        if self._cut is None:
            return
        while True:
            await self._due.wait()
            self._due.clear()
            subjects, self._subjects = self._subjects, set()
            await self._cut(subjects)

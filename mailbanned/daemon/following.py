"""Runs the sources: each in a task of its own, exchanged one by one when the configuration does."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from mailbanned.clock import Clock
from mailbanned.config import Config
from mailbanned.daemon import build
from mailbanned.daemon.core import Core
from mailbanned.daemon.saver import Saver
from mailbanned.sources import Journalctl, Source, Watcher

if TYPE_CHECKING:
    from mailbanned.config.schema import SourceTable


class Following:
    """The sources that jails listen to, at work inside the given task group."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        clock: Clock,
        watcher: Watcher,
        core: Core,
        saver: Saver,
    ) -> None:
        self.sources: dict[str, Source] = {}
        self._tasks = tasks
        self._clock = clock
        self._readers = (watcher, Journalctl(clock))
        tasks.create_task(self._readers[1].run())
        self._core = core
        self._saver = saver
        self._running: dict[str, asyncio.Task[None]] = {}
        self._made_from: dict[str, SourceTable] = {}

    async def follow(self, config: Config) -> None:
        """Starts new and changed sources at their marks, stops those that nobody needs now."""
        needed = dict.fromkeys(rules.source for rules in config.rules)
        wanted = {name: config.file.sources[name] for name in needed}
        stopped = [n for n in self._running if self._made_from[n] != wanted.get(n)]
        for name in stopped:
            await self._stop(name)
        # What the stopped ones had read is counted before anything is read again at its marks.
        await self._core.intake.settled(stopped)
        self._retire(stopped)
        for name, table in wanted.items():
            if name not in self._running:
                source = build.source(name, config, self._clock, self._readers, self._marks(name))
                self.sources[name] = source
                self._made_from[name] = table
                self._running[name] = self._tasks.create_task(
                    source.run(self._core.intake.take), name=name
                )
        self.sources = {name: self.sources[name] for name in wanted}

    async def _stop(self, name: str) -> None:
        task = self._running.pop(name)
        del self.sources[name]
        task.cancel()
        await asyncio.wait([task])

    def _retire(self, names: Collection[str]) -> None:
        """Keeps the marks of stopped sources: their logs may come back, here or elsewhere."""
        going = {name: self._saver.marks.get(name, {}) for name in names}
        newest = {log for marks in going.values() for log in marks}
        for key, marks in list(self._saver.marks.items()):
            if key not in self._running and not newest.isdisjoint(marks):
                kept = {log: mark for log, mark in marks.items() if log not in newest}
                self._saver.read(key, kept)
        for name, marks in going.items():
            if marks:
                table = self._made_from[name]
                self._saver.read(f"{name} of {table.path or table.journal}", marks)

    def _marks(self, name: str) -> dict[str, str]:
        """Where a source resumes: at its own marks, and at those of sources that do not run.

        A source takes only marks of its own logs: of files that its path leads to, or of its
        entries of the journal.
        """
        resting = [key for key in self._saver.marks if key not in self._running]
        resting.sort(key=lambda key: key.startswith(f"{name} of "))
        rows = [self._saver.marks[key] for key in resting]
        marks = {log: mark for row in rows for log, mark in row.items()}
        return {**marks, **self._saver.marks.get(name, {})}

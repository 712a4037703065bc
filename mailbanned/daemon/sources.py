"""Runs the sources: each in a task of its own, exchanged one by one when the configuration does."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from mailbanned.clock import Clock
from mailbanned.config import Config
from mailbanned.config.options import SourceTable
from mailbanned.daemon import factory
from mailbanned.daemon.pipeline import Core
from mailbanned.daemon.writer import Saver
from mailbanned.sources import Journalctl, Source, Watcher

# Marks by the name of their log.
Marks = Mapping[str, str]

# Stands in the key of the marks of a source that was stopped, between its name and its logs. (No
# name of a source holds a blank.)
_RETIRED = " of "


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
        needed = dict.fromkeys(jail.source for jail in config.jails)
        wanted = {name: config.file.sources[name] for name in needed}
        stopped = [n for n in self._running if self._made_from[n] != wanted.get(n)]
        for name in stopped:
            await self._stop(name)
        # What the stopped ones had read is counted before anything is read again at its marks.
        await self._core.intake.settled(stopped)
        self._retire(stopped)
        started = {name: table for name, table in wanted.items() if name not in self._running}
        for name, marks in self._hand_over(started).items():
            source = factory.source(name, config, self._clock, self._readers, marks)
            self.sources[name] = source
            self._made_from[name] = wanted[name]
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
                self._saver.read(key, _without(marks, newest))
        for name, marks in going.items():
            if marks:
                table = self._made_from[name]
                self._saver.read(f"{name}{_RETIRED}{table.path or table.journal}", marks)

    def _hand_over(self, started: Mapping[str, SourceTable]) -> dict[str, Marks]:
        """Where new sources resume: at their own marks, and at those of sources that do not run.

        Each gets the marks of its own logs, and nobody else keeps them. They would be out of date
        when the sources change another time, and lines would be read twice.
        """
        kept = self._saver.marks
        own = {name: _of(table, kept.get(name, {})) for name, table in started.items()}
        # What a source had and has no more is as free as the marks of those that are gone.
        free = {
            key: _without(marks, own.get(key, ()))
            for key, marks in kept.items()
            if key not in self._running
        }
        handed: dict[str, Marks] = {}
        for name, table in started.items():
            rows = [_of(table, free[key]) for key in _by_age(free, name)]
            handed[name] = {log: mark for row in (*rows, own[name]) for log, mark in row.items()}
        for key, marks in free.items():
            taken = {log for table in started.values() for log in _of(table, marks)}
            free[key] = _without(marks, taken)
            if taken and key not in started:
                self._saver.read(key, free[key])
        for name, marks in handed.items():
            if free.get(name):
                key = f"{name}{_RETIRED}earlier"
                self._saver.read(key, {**kept.get(key, {}), **free[name]})
            self._saver.read(name, marks)
        return handed


def _by_age(keys: Collection[str], name: str) -> list[str]:
    """The keys of rows of marks; what stands later holds, where two rows tell of one log.

    Sources that ran until the last run ended have read further than those stopped before that.
    """
    own = name + _RETIRED
    return sorted(keys, key=lambda key: (_RETIRED not in key, key.startswith(own)))


def _of(table: SourceTable, marks: Marks) -> Marks:
    """Those that are of logs of a source."""
    return {log: mark for log, mark in marks.items() if factory.resumes_at(table, log, mark)}


def _without(marks: Marks, logs: Collection[str]) -> Marks:
    return {log: mark for log, mark in marks.items() if log not in logs}

"""Runs the sources: each in a task of its own, exchanged one by one when the configuration does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mailbanned.clock import Clock
from mailbanned.config import Config
from mailbanned.daemon import build
from mailbanned.daemon.core import Core
from mailbanned.sources import Source, Watcher

Marks = Mapping[str, Mapping[str, str]]


class Following:
    """The sources that jails listen to, at work inside the given task group."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        clock: Clock,
        watcher: Watcher,
        core: Core,
    ) -> None:
        self.sources: dict[str, Source] = {}
        self._tasks = tasks
        self._clock = clock
        self._watcher = watcher
        self._core = core
        self._running: dict[str, asyncio.Task[None]] = {}
        self._made_from: dict[str, object] = {}

    async def follow(self, config: Config, marks: Marks) -> None:
        """Starts new and changed sources at their marks, stops those that nobody needs now."""
        needed = dict.fromkeys(rules.source for rules in config.rules)
        wanted = {name: config.file.sources[name] for name in needed}
        for name in [n for n in self._running if self._made_from[n] != wanted.get(n)]:
            await self._stop(name)
        # What the stopped ones had read is counted before anything is read again at its marks.
        await self._core.settled()
        for name, table in wanted.items():
            if name not in self._running:
                source = build.source(name, config, self._clock, self._watcher, marks.get(name, {}))
                self.sources[name] = source
                self._made_from[name] = table
                self._running[name] = self._tasks.create_task(
                    source.run(self._core.take), name=name
                )
        self.sources = {name: self.sources[name] for name in wanted}

    async def _stop(self, name: str) -> None:
        task = self._running.pop(name)
        del self.sources[name]
        task.cancel()
        await asyncio.wait([task])

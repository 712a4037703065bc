"""Runs the sources: each in a task of its own, replaced one by one when the configuration is."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NamedTuple

from mailbanned.clock import Clock
from mailbanned.config import Config
from mailbanned.config.options import SourceTable
from mailbanned.daemon import factory
from mailbanned.daemon.checkpoints import Checkpoints
from mailbanned.daemon.scheduler import BlockScheduler
from mailbanned.sources import Journalctl, Source, Watcher


class _Running(NamedTuple):
    """A source at work, and the table that it was made from."""

    source: Source
    table: SourceTable
    task: asyncio.Task[None]


class SourceManager:
    """The sources that jails need."""

    def __init__(
        self,
        clock: Clock,
        watcher: Watcher,
        journalctl: Journalctl,
        scheduler: BlockScheduler,
        checkpoints: Checkpoints,
    ) -> None:
        self._clock = clock
        self._readers = (watcher, journalctl)
        self._scheduler = scheduler
        self._checkpoints = checkpoints
        self._running: dict[str, _Running] = {}

    @property
    def sources(self) -> dict[str, Source]:
        """Those that run, by name, in the order of the configuration."""
        return {name: running.source for name, running in self._running.items()}

    async def apply(self, config: Config, tasks: asyncio.TaskGroup) -> None:
        """Stops sources that changed or that no jail needs now, and starts new and changed ones.

        tasks: where they run.
        """
        needed = dict.fromkeys(jail.source for jail in config.jails)
        wanted = {name: config.file.sources[name] for name in needed}
        stopped = [name for name, old in self._running.items() if old.table != wanted.get(name)]
        for name in stopped:
            await self._stop(name)
        # What they had read is counted before another source resumes at their checkpoints.
        await self._scheduler.drain(stopped)
        selectors = {
            name: partial(factory.owns_checkpoint, table)
            for name, table in wanted.items()
            if name not in self._running
        }
        for name, checkpoints in self._checkpoints.claim(selectors, self._running).items():
            source = factory.source(name, config, self._clock, self._readers, checkpoints)
            task = tasks.create_task(source.run(self._scheduler.put), name=name)
            self._running[name] = _Running(source, wanted[name], task)
        self._running = {name: self._running[name] for name in wanted}

    async def _stop(self, name: str) -> None:
        task = self._running.pop(name).task
        task.cancel()
        await asyncio.wait([task])

"""Schedules the blocks of all sources round-robin, so that no backlog delays another source.

Each source may queue two blocks; then its reader waits, and the log itself is the buffer. Sources
with blocks get two milliseconds each, in turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from mailbanned.clock import Clock
from mailbanned.model import Block

_MAX_BLOCKS = 2
_TURN_S = 0.002


class BlockScheduler:
    """Queues the blocks of the sources and processes them.

    process: starts to process a block; returns an iterator that can pause between any two steps.
    """

    def __init__(self, clock: Clock, process: Callable[[Block], Iterator[None]]) -> None:
        self._clock = clock
        self._process = process
        self._waiting: dict[str, asyncio.Queue[Block]] = {}
        self._in_progress: dict[str, Iterator[None]] = {}
        self._has_blocks = asyncio.Event()

    async def put(self, block: Block) -> None:
        """Queues a block of a source; waits while two others of it are queued."""
        queue = self._waiting.get(block.source)
        if queue is None:
            queue = self._waiting[block.source] = asyncio.Queue(_MAX_BLOCKS)
        await queue.put(block)
        self._has_blocks.set()

    async def drain(self, sources: Iterable[str]) -> None:
        """Waits until everything queued by these sources so far is processed."""
        for source in sources:
            if source in self._waiting:
                await self._waiting[source].join()

    def in_progress(self) -> set[str]:
        """Returns the sources of which a block is partly processed."""
        return set(self._in_progress)

    async def run(self) -> None:
        """Processes blocks until cancelled."""
        while True:
            self._has_blocks.clear()
            turns = [name for name, queue in self._waiting.items() if self._has(name, queue)]
            if not turns:
                await self._has_blocks.wait()
            for source in turns:
                self._turn(source)
                # Bans go out, and other readers come in, between two turns.
                await asyncio.sleep(0)

    def _has(self, source: str, queue: asyncio.Queue[Block]) -> bool:
        return source in self._in_progress or not queue.empty()

    def _turn(self, source: str) -> None:
        """Processes blocks of a source for at most _TURN_S."""
        queue = self._waiting[source]
        end = self._clock.monotonic() + _TURN_S
        if source not in self._in_progress:
            self._in_progress[source] = self._process(queue.get_nowait())
        for _ in self._in_progress[source]:
            if self._clock.monotonic() > end:
                return
        del self._in_progress[source]
        queue.task_done()

"""Blocks of all sources, counted in turns: no source's backlog keeps the others waiting.

Each source has room for two blocks; when they are taken its reader waits, and the log itself is
the buffer. Whoever has something gets two milliseconds, one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from mailbanned.clock import Clock
from mailbanned.model import Block

_BLOCKS = 2
_TURN_S = 0.002


class Intake:
    """Takes blocks from the sources and works through them.

    begin: the work that a block is, as an iterator that can be left between any two steps.
    """

    def __init__(self, clock: Clock, begin: Callable[[Block], Iterator[None]]) -> None:
        self._clock = clock
        self._begin = begin
        self._waiting: dict[str, asyncio.Queue[Block]] = {}
        self._begun: dict[str, Iterator[None]] = {}
        self._something = asyncio.Event()

    async def take(self, block: Block) -> None:
        """A block of a source; waits while two others of it do."""
        queue = self._waiting.get(block.source)
        if queue is None:
            queue = self._waiting[block.source] = asyncio.Queue(_BLOCKS)
        await queue.put(block)
        self._something.set()

    async def settled(self, sources: Iterable[str]) -> None:
        """Waits until everything taken from these sources so far has been worked through."""
        for source in sources:
            if source in self._waiting:
                await self._waiting[source].join()

    def begun(self) -> set[str]:
        """The sources of which a block is half done."""
        return set(self._begun)

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            self._something.clear()
            turns = [name for name, queue in self._waiting.items() if self._has(name, queue)]
            if not turns:
                await self._something.wait()
            for source in turns:
                self._turn(source)
                # Bans go out, and other readers come in, between two turns.
                await asyncio.sleep(0)

    def _has(self, source: str, queue: asyncio.Queue[Block]) -> bool:
        return source in self._begun or not queue.empty()

    def _turn(self, source: str) -> None:
        """Some milliseconds for one source."""
        queue = self._waiting[source]
        end = self._clock.monotonic() + _TURN_S
        if source not in self._begun:
            self._begun[source] = self._begin(queue.get_nowait())
        for _ in self._begun[source]:
            if self._clock.monotonic() > end:
                return
        del self._begun[source]
        queue.task_done()

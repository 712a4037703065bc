"""The contract that every source keeps. A test class for a kind of source inherits from it.

The fixture `log` gives a Log: what a source of that kind follows, and the sources themselves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from structlog.testing import capture_logs

from mailbanned.model import Block
from mailbanned.sources import Source
from tests.sources.rig import nothing_left_behind
from tests.waiting import until

#: More than any source takes in one block, or may hold besides.
MANY = 20_000


class Log(Protocol):
    """A log, empty at first. kind: as SourceState has it."""

    kind: str

    def write(self, messages: Iterable[str]) -> None:
        """Adds lines at once."""
        ...

    def messages(self, data: bytes) -> list[str]:
        """The messages in the lines of a block."""
        ...

    def take_away(self) -> None:
        """The log (or who shows it) is gone for now; lines may still be written."""
        ...

    def bring_back(self) -> None:
        """It is there again, with all that was written."""
        ...

    def source(self, marks: Mapping[str, str]) -> Source:
        """A new source that follows the log; its name is "mail"."""
        ...

    async def serve(self) -> None:
        """Runs what the sources need beside them, until cancelled."""
        ...


class Reading:
    """A source at work. blocks, messages: what it emitted. gate: while cleared, it is held up.

    held: whether it is. one_only: clears the gate after the first block with messages.
    """

    def __init__(self, log: Log, marks: Mapping[str, str]) -> None:
        self.source = log.source(marks)
        self.blocks: list[Block] = []
        self.messages: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.held = False
        self.one_only = False
        self._log = log

    async def emit(self, block: Block) -> None:
        self.held = not self.gate.is_set()
        await self.gate.wait()
        self.held = False
        self.blocks.append(block)
        self.messages += self._log.messages(block.data)
        if self.one_only and self.messages:
            self.gate.clear()

    async def have(self, messages: list[str]) -> None:
        """Waits until as many were emitted as these; they have to be these."""
        try:
            await until(lambda: len(self.messages) >= len(messages), "all of them")
        finally:
            assert self.messages == messages

    async def stuck(self, written: list[str]) -> int:
        """How many lines it reads while it is held up, in the time in which another reads all.

        written: all that is in the log.
        """
        await until(lambda: self.held, "it is held up")
        async with reading(self._log) as other:
            await other.have(written)
        return self.source.state().lines


@asynccontextmanager
async def reading(log: Log, marks: Mapping[str, str] | None = None) -> AsyncIterator[Reading]:
    """A source at work on the log; at the end it is cancelled, and has to end by that."""
    one = Reading(log, marks or {})
    tasks = [asyncio.create_task(log.serve()), asyncio.create_task(one.source.run(one.emit))]
    try:
        yield one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)


def numbered(first: int, end: int) -> list[str]:
    return [f"message {number}" for number in range(first, end)]


class SourceContract:
    """What holds for every source."""

    async def test_every_line_once_and_in_order(self, log: Log) -> None:
        """Lines from before and lines as they come are handed on once, in their order."""
        log.write(numbered(0, MANY))
        async with reading(log) as one:
            await one.have(numbered(0, MANY))
            await until(lambda: one.source.state().state == "following")
            for number in range(MANY, MANY + 50):
                log.write([f"message {number}"])
                if number % 5 == 0:
                    await one.have(numbered(0, number + 1))
            await one.have(numbered(0, MANY + 50))

    async def test_what_a_block_is(self, log: Log) -> None:
        """Whole lines under the source's name, when they came, live if they came as written."""
        began = time.time(), time.monotonic()
        log.write(["before"])
        async with reading(log) as one:
            await one.have(["before"])
            await until(lambda: one.source.state().state == "following")
            log.write(["live"])
            await one.have(["before", "live"])
        old, live = (block for block in one.blocks if block.data)
        assert (old.source, old.live) == (live.source, not live.live) == ("mail", False)
        for block in (old, live):
            assert block.data.endswith(b"\n")
            # A journal's stamps, which ticks consider, have whole microseconds.
            assert began[0] <= block.arrived <= time.time()
            assert began[1] - 0.001 <= block.read_monotonic <= time.monotonic()

    async def test_marks_resume_after_the_block(self, log: Log) -> None:
        """With the marks of any block, a new source begins right behind it."""
        log.write(numbered(0, MANY))
        async with reading(log) as one:
            await one.have(numbered(0, MANY))
            for number in range(MANY, MANY + 3):
                log.write([f"message {number}"])
                await one.have(numbered(0, number + 1))
        taken = 0
        ends = {}
        for block in one.blocks:
            taken += len(log.messages(block.data))
            ends[taken] = block.marks
        assert len(ends) > 3
        log.write(["last"])
        for taken, marks in [*ends.items()][:2] + [*ends.items()][-4:]:
            async with reading(log, marks) as again:
                await again.have([*numbered(taken, MANY + 3), "last"])

    async def test_a_block_that_was_not_taken_comes_again(self, log: Log) -> None:
        """What was read and not taken when the source was stopped is not lost."""
        log.write(numbered(0, MANY))
        async with reading(log) as one:
            one.one_only = True
            await until(lambda: one.held, "it has read what is not taken")
        taken = len(one.messages)
        async with reading(log, one.blocks[-1].marks) as again:
            await again.have(numbered(taken, MANY))

    async def test_back_pressure(self, log: Log) -> None:
        """While nobody takes its block it reads no more, and says how far it lags."""
        log.write(numbered(0, MANY))
        async with reading(log) as one:
            one.gate.clear()
            assert await one.stuck(numbered(0, MANY)) < MANY
            log.write(numbered(MANY, 2 * MANY))
            assert await one.stuck(numbered(0, 2 * MANY)) < MANY
            state = one.source.state()
            assert state.lag_bytes > 0 or state.lag_s > 0
            released = time.time()
            one.gate.set()
            await one.have(numbered(0, 2 * MANY))
            # One that is held up, and perhaps one behind it.
            assert sum(block.arrived < released for block in one.blocks) <= 2
            await until(lambda: one.source.state().lag_s == 0)
            assert one.source.state().lag_bytes == 0

    async def test_ends_when_cancelled(self, log: Log) -> None:
        """Cancelled at rest, while it is held up, or at its start, it leaves nothing behind."""
        log.write(numbered(0, MANY))
        async with reading(log) as one:  # what the process needs for good is there after this
            await one.have(numbered(0, MANY))
        for gate in (True, False):
            async with nothing_left_behind(), reading(log) as one:
                if gate:
                    await one.have(numbered(0, MANY))
                else:
                    one.gate.clear()
                    await until(lambda: one.held, "it is held up")
        async with nothing_left_behind(), reading(log):
            await asyncio.sleep(0)

    async def test_what_it_says_of_itself(self, log: Log) -> None:
        """Name, kind, what it follows, how it is doing, and how many lines came, and when."""
        async with reading(log) as one:
            log.write(["one", "two"])
            await one.have(["one", "two"])
            await until(lambda: one.source.state().state == "following")
            state = one.source.state()
        assert one.source.name == state.name == "mail"
        lines = sum(block.data.count(b"\n") for block in one.blocks)
        assert (state.kind, state.lines, state.detail) == (log.kind, lines, "")
        assert state.paths
        assert state.last_line_at == one.blocks[-1].arrived

    async def test_a_log_that_is_not_there(self, log: Log) -> None:
        """It says once, and in its state, what is missing; and follows as soon as it is there."""
        log.take_away()
        with capture_logs() as said:
            async with reading(log) as one:
                await until(lambda: one.source.state().detail != "")
                assert one.source.state().state in ("waiting", "unreadable", "down")
                log.write(["one"])
                log.bring_back()
                await one.have(["one"])
                await until(lambda: one.source.state().detail == "")
        assert [entry["log_level"] for entry in said].count("warning") == 1

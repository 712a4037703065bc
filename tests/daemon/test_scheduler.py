"""The scheduler: sources take turns, wait when there is no room, and lose nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from mailbanned.daemon.scheduler import BlockScheduler
from mailbanned.model import Block


class Ticking:
    """A clock on which every look takes a millisecond."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        self.at += 0.001
        return self.at


class Work:
    """Notes which step of which block was done; a block has as many steps as it has lines."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []
        self.began = asyncio.Event()
        self.scheduler = BlockScheduler(Ticking(), self.begin)

    def begin(self, block: Block) -> Iterator[None]:
        for number in range(block.data.count(b"\n")):
            self.done.append((block.source, number))
            self.began.set()
            yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[BlockScheduler]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.scheduler.run())
            yield self.scheduler
            task.cancel()


def block(source: str, lines: int) -> Block:
    return Block(source, b"x\n" * lines, 0.0, 0.0, live=True)


async def test_a_backlog_keeps_nobody_waiting() -> None:
    """A single line of one source is handled while a long block of another one is half done."""
    work = Work()
    async with work.running() as scheduler:
        await scheduler.put(block("flood", 1000))
        await work.began.wait()
        await scheduler.put(block("other", 1))
        await scheduler.drain(["other"])
        before = len(work.done)
        await scheduler.drain(["flood"])
    assert before < 50
    assert len(work.done) == 1001


async def test_every_step_is_done_once_and_in_order() -> None:
    """Turns cut blocks up, and neither repeat nor leave out anything."""
    work = Work()
    async with work.running() as scheduler:
        for _ in range(3):
            await scheduler.put(block("a", 40))
            await scheduler.put(block("b", 7))
        await scheduler.drain(["a", "b", "nobody"])
    for source, lines in (("a", 40), ("b", 7)):
        assert [number for name, number in work.done if name == source] == [*range(lines)] * 3


async def test_a_full_source_waits_and_no_other_does() -> None:
    """Two blocks of a source are taken in, its third one waits; others have their own room."""
    scheduler = Work().scheduler
    await scheduler.put(block("a", 1))
    await scheduler.put(block("a", 1))
    third = asyncio.create_task(scheduler.put(block("a", 1)))
    await scheduler.put(block("b", 1))
    await asyncio.sleep(0)
    assert not third.done()
    third.cancel()


async def test_what_is_half_done_is_told() -> None:
    """A source whose block is cut by the end of its turn is named until the block is done."""
    work = Work()
    assert work.scheduler.in_progress() == set()
    async with work.running() as scheduler:
        await scheduler.put(block("a", 1000))
        await work.began.wait()
        assert scheduler.in_progress() == {"a"}
        await scheduler.drain(["a"])
        assert scheduler.in_progress() == set()

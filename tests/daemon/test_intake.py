"""The intake: sources take turns, wait when there is no room, and lose nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from mailbanned.daemon.scheduler import Intake
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
        self.intake = Intake(Ticking(), self.begin)

    def begin(self, block: Block) -> Iterator[None]:
        for number in range(block.data.count(b"\n")):
            self.done.append((block.source, number))
            self.began.set()
            yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Intake]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.intake.run())
            yield self.intake
            task.cancel()


def block(source: str, lines: int) -> Block:
    return Block(source, b"x\n" * lines, 0.0, 0.0, live=True)


async def test_a_backlog_keeps_nobody_waiting() -> None:
    """A single line of one source is handled while a long block of another one is half done."""
    work = Work()
    async with work.running() as intake:
        await intake.take(block("flood", 1000))
        await work.began.wait()
        await intake.take(block("other", 1))
        await intake.settled(["other"])
        before = len(work.done)
        await intake.settled(["flood"])
    assert before < 50
    assert len(work.done) == 1001


async def test_every_step_is_done_once_and_in_order() -> None:
    """Turns cut blocks up, and neither repeat nor leave out anything."""
    work = Work()
    async with work.running() as intake:
        for _ in range(3):
            await intake.take(block("a", 40))
            await intake.take(block("b", 7))
        await intake.settled(["a", "b", "nobody"])
    for source, lines in (("a", 40), ("b", 7)):
        assert [number for name, number in work.done if name == source] == [*range(lines)] * 3


async def test_a_full_source_waits_and_no_other_does() -> None:
    """Two blocks of a source are taken in, its third one waits; others have their own room."""
    intake = Work().intake
    await intake.take(block("a", 1))
    await intake.take(block("a", 1))
    third = asyncio.create_task(intake.take(block("a", 1)))
    await intake.take(block("b", 1))
    await asyncio.sleep(0)
    assert not third.done()
    third.cancel()


async def test_what_is_half_done_is_told() -> None:
    """A source whose block is cut by the end of its turn is named until the block is done."""
    work = Work()
    assert work.intake.begun() == set()
    async with work.running() as intake:
        await intake.take(block("a", 1000))
        await work.began.wait()
        assert intake.begun() == {"a"}
        await intake.settled(["a"])
        assert intake.begun() == set()

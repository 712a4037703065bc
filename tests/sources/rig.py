"""Runs a file source over real files and keeps what it emits."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType

from mailbanned.clock import SystemClock
from mailbanned.model import Block
from mailbanned.sources import FileSource, SourceState, Watcher
from mailbanned.sources.file.reader import CHUNK_BYTES
from tests.waiting import until as until


class HastyClock(SystemClock):
    """The system's clock, whose ticks can be moved ahead; once stopped, they move by that alone."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._stopped_at: float | None = None

    def stop(self) -> None:
        """No time passes from now on by itself."""
        self._stopped_at = super().monotonic()

    def monotonic(self) -> float:
        return (super().monotonic() if self._stopped_at is None else self._stopped_at) + self.ahead


class Age:
    """Judges lines by one function: whether they are expired, None without a time stamp."""

    def __init__(self, is_expired: Callable[[bytes], bool | None] = lambda _: None) -> None:
        self._is_expired = is_expired

    def has_timestamp(self, line: bytes) -> bool:
        return self._is_expired(line) is not None

    def is_expired(self, line: bytes) -> bool:
        return self._is_expired(line) is True


class Reader:
    """A file source at work inside an `async with`, with a watcher of its own.

    blocks: what it emitted, but for blocks without lines. marks: where a next run would resume.
    gate: while cleared, the source is held up at its next block.
    """

    def __init__(
        self,
        pattern: Path | str,
        marks: Mapping[str, str] | None = None,
        is_expired: Callable[[bytes], bool | None] = lambda _: None,
        watched: bool = True,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.blocks: list[Block] = []
        self.marks = marks or {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.clock = HastyClock()
        self.watcher = Watcher()
        self.source = FileSource(
            "mail",
            str(pattern),
            clock=self.clock,
            watcher=self.watcher,
            checkpoints=self.marks,
            line_age=Age(is_expired),
            chunk_bytes=chunk_bytes,
        )
        self._watched = watched
        self._tasks: list[asyncio.Task[None]] = []

    async def _emit(self, block: Block) -> None:
        await self.gate.wait()
        self.marks = block.marks
        if block.data:
            self.blocks.append(block)

    async def __aenter__(self) -> Reader:
        self._tasks = [asyncio.create_task(self.source.run(self._emit))]
        if self._watched:
            self._tasks.append(asyncio.create_task(self.watcher.run()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results

    def cancel(self) -> None:
        """Asks it to end, wherever it is."""
        for task in self._tasks:
            task.cancel()

    @property
    def data(self) -> bytes:
        """Everything that was emitted so far."""
        return b"".join(block.data for block in self.blocks)

    @property
    def state(self) -> SourceState:
        return self.source.state()

    async def read(self, data: bytes) -> None:
        """Waits until exactly this was emitted, all in all."""
        try:
            await until(lambda: len(self.data) >= len(data))
        finally:
            assert self.data == data

    async def following(self) -> None:
        """Waits until everything there is has been read."""
        await until(lambda: self.state.state == "following")


def append(path: Path, data: bytes) -> None:
    """Writes to the end of a file, as a logger does."""
    with path.open("ab") as file:
        file.write(data)


def long_ago(path: Path) -> None:
    """Makes the file an old one: the kernel's stamps of writes in one instant may be the same."""
    os.utime(path, (time.time() - 60,) * 2)


@asynccontextmanager
async def nothing_left_behind() -> AsyncIterator[None]:
    """No task, child process or open file is left of what was done meanwhile."""
    tasks, held = asyncio.all_tasks(), _held()
    yield
    assert asyncio.all_tasks() == tasks
    await until(lambda: not _held() - held, "all is closed")  # the watcher's thread ends late


def _held() -> Counter[str]:
    """This process's children, and its open files and pipes."""
    held = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            held.append(str(descriptor.readlink()))
    return Counter(one for one in held if one and not one.startswith("/proc"))

"""Ten logs followed at once: from the write of a line to its Failure, and the price of waiting."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mailbanned.clock import SystemClock
from mailbanned.model import Block
from mailbanned.sources import FileSource, Watcher
from tests.bench.table import Row, measured, median, share, spread
from tests.filters.shipped import filter_set
from tests.running import ssh
from tests.sources.rig import Age

_FILES = 10
_LINES, _SHORT_LINES = 200, 50
_ROUNDS = 3
_IDLE_S, _SHORT_IDLE_S = 10.0, 3.0


class Readers:
    """Sources as the daemon has them, each on a log in a directory of its own.

    seen: when (monotonic) a failure of an address was found.
    """

    def __init__(self, folder: Path) -> None:
        self.logs = [folder / f"pvc-{number}" / "secure" for number in range(_FILES)]
        self.seen: dict[str, asyncio.Future[float]] = {}
        self._filters = filter_set("sshd", "sshd-unknown")

    async def emit(self, block: Block) -> None:
        """Finds failures in a block, as the core does."""
        for found in self._filters.read(block.data, block.arrived):
            if found.address in self.seen and not self.seen[found.address].done():
                self.seen[found.address].set_result(time.monotonic())

    async def write(self, log: Path, address: str) -> float:
        """Writes a line; the seconds until it was parsed."""
        seen: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.seen[address] = seen
        line = f"{ssh(address)}\n".encode()
        with log.open("ab", buffering=0) as file:
            began = time.monotonic()
            file.write(line)
        async with asyncio.timeout(10):
            return await seen - began

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follows the logs; all of them are waited for first."""
        watcher, clock = Watcher(), SystemClock()
        tasks = [asyncio.create_task(watcher.run())]
        sources = []
        for log in self.logs:
            log.parent.mkdir()
            log.touch()
            source = FileSource(
                log.parent.name, str(log),
                clock=clock, watcher=watcher, checkpoints={}, line_age=Age(),
            )  # fmt: skip
            sources.append(source)
            tasks.append(asyncio.create_task(source.run(self.emit)))
        while any(source.state().state != "following" for source in sources):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)  # the start itself is not idling
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _measure(folder: Path, lines: int, idle_s: float) -> list[Row]:
    chance = random.Random(1)
    readers = Readers(folder)
    halves, most, worst = [], [], 0.0
    async with readers.running():
        spent, began = time.process_time(), time.monotonic()
        await asyncio.sleep(idle_s)
        idle = (time.process_time() - spent) / (time.monotonic() - began) * 100
        for round_ in range(_ROUNDS):
            took = []
            for number in range(lines):
                await asyncio.sleep(0.01 + chance.random() * 0.03)
                log = chance.choice(readers.logs)
                took.append(1000 * await readers.write(log, f"198.18.{round_}.{number + 1}"))
            halves.append(median(took))
            most.append(share(took, 0.99))
            worst = max(worst, *took)
    parsed = "line written to line parsed"
    note = f"of one core over {idle_s:.0f} s"
    return [
        measured("p50", f"{parsed}, p50", median(halves), "ms", "<= 5 ms", spread(halves, "ms", 1)),
        measured("p99", f"{parsed}, p99", median(most), "ms", "", spread(most, "ms", 1)),
        measured("worst", f"{parsed}, worst", worst, "ms", "", f"of {_ROUNDS * lines}"),
        measured("cpu", f"CPU, idle with {_FILES} logs", idle, "% CPU", "<= 0.5 % CPU", note),
    ]


def run(short: bool = False) -> list[Row]:
    """One process with ten sources and one watcher."""
    with tempfile.TemporaryDirectory() as name:
        lines, idle_s = (_SHORT_LINES, _SHORT_IDLE_S) if short else (_LINES, _IDLE_S)
        return asyncio.run(_measure(Path(name), lines, idle_s))

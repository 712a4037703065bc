"""FileSource restarted at any moment, against a writer that rotates, deletes and truncates."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import pytest

from tests.sources.rig import Reader

LINES = 6_000
LIMIT_S = 40.0


class Writer(threading.Thread):
    """Writes numbered lines in a thread of its own, in torn writes, through changing files.

    It does what loggers and logrotate do. Only what no reader could survive is left out: lines
    are not cut off before they were read (`seen`), and a file is not rotated away before its
    first line was read.
    """

    def __init__(self, log: Path, seed: int, seen: Callable[[], int]) -> None:
        super().__init__()
        self.written = 0
        self.done: Counter[str] = Counter()
        self.error: BaseException | None = None
        self._log = log
        self._chance = random.Random(seed)
        self._seen = seen
        self._give_up = time.monotonic() + LIMIT_S

    def run(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self.error = error

    def _run(self) -> None:
        file = self._log.open("ab", buffering=0)
        while self.written < LINES:
            self._write(file, self._chance.randrange(1, 80))
            action = self._chance.choice(["append"] * 6 + ["rename", "delay", "delete", "truncate"])
            self.done[action] += 1
            if action in ("rename", "delay"):
                self._read(self.written)
                file = self._rename(file, delay=action == "delay")
            elif action == "delete":
                self._read(self.written)
                self._log.unlink()
                file.close()
                file = self._log.open("ab", buffering=0)
            elif action == "truncate":
                self._read(self.written)
                file.truncate(0)
            time.sleep(self._chance.choice([0, 0, 0.001, 0.01]))
        file.close()

    def _rename(self, old: FileIO, delay: bool) -> FileIO:
        """As logrotate does: the server writes into the renamed file until it is reloaded."""
        self._write(old, self._chance.randrange(20))
        self._log.rename(self._log.with_suffix(f".{self.written}"))
        if delay:
            time.sleep(self._chance.choice([0, 0.01]))
            self._write(old, self._chance.randrange(20))
        new = self._log.open("ab", buffering=0)
        for _ in range(3):
            self._write(old, self._chance.randrange(20))
            self._write(new, self._chance.randrange(20))
        old.close()
        return new

    def _write(self, file: FileIO, count: int) -> None:
        numbers = range(self.written, self.written + count)
        data = b"".join(b"%07d%s\n" % (n, b"." * self._chance.randrange(200)) for n in numbers)
        while data:
            length = self._chance.choice([7, 100, 4096, 65536])
            file.write(data[:length])
            data = data[length:]
        self.written += count

    def _read(self, count: int) -> None:
        """Waits until so many lines were read."""
        while self._seen() < count:
            time.sleep(0.001)
            assert time.monotonic() < self._give_up, f"{self._seen()} of {count} lines were read"


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_line_comes_exactly_once(tmp_path: Path, seed: int) -> None:
    """Through hundreds of rotations and restarts at any moment no line is lost or repeated."""
    log = tmp_path / "mail.log"
    numbers: list[int] = []
    writer = Writer(log, seed, lambda: len(numbers))
    chance = random.Random(-seed)
    reader = Reader(log)
    runs = 0
    writer.start()
    try:
        async with asyncio.timeout(LIMIT_S):
            while writer.is_alive() or len(numbers) < writer.written:
                runs += 1
                reader = Reader(log, reader.marks)
                async with reader:
                    stop = asyncio.get_running_loop().time() + chance.choice([0.002, 0.02, 0.1])
                    taken = 0
                    while asyncio.get_running_loop().time() < stop:
                        await asyncio.sleep(0.001)
                        taken += _take(reader, taken, numbers)
                _take(reader, taken, numbers)
    finally:
        await asyncio.to_thread(writer.join)
    assert writer.error is None
    assert sorted(numbers) == list(range(writer.written))
    assert runs > 2
    assert min(writer.done[action] for action in ("rename", "delay", "delete", "truncate")) > 3


def _take(reader: Reader, taken: int, numbers: list[int]) -> int:
    """Notes the numbers of the blocks that came since; returns how many blocks."""
    blocks = reader.blocks[taken:]
    for block in blocks:
        numbers += [int(line[:7]) for line in block.data.splitlines()]
    return len(blocks)

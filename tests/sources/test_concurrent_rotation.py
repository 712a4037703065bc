"""FileSource ended at any moment, against a writer that rotates, packs, deletes and truncates."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.sources.rig import Reader
from tests.sources.writer import LIMIT_S, Writer


@pytest.mark.parametrize("seed", list(range(1, 7)))
async def test_every_line_comes_exactly_once(tmp_path: Path, seed: int) -> None:
    """Through hundreds of rotations and restarts at any moment no line is lost or repeated."""
    log = tmp_path / "mail.log"
    numbers: list[int] = []
    writer = Writer(log, seed, 6_000, lambda: len(numbers))
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
                    stop = asyncio.get_running_loop().time() + chance.choice(
                        [0.002, 0.02, 0.1, 0.5]
                    )
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
    assert len(writer.done) == 7
    assert min(writer.done.values()) > 2


def _take(reader: Reader, taken: int, numbers: list[int]) -> int:
    """Notes the numbers of the blocks that came since; returns how many blocks."""
    blocks = reader.blocks[taken:]
    for block in blocks:
        numbers += [int(line[:7]) for line in block.data.splitlines()]
    return len(blocks)

"""FileSource ended at any moment, against a writer that rotates, packs, deletes and truncates."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from pathlib import Path

import pytest

from tests.sources.counter import Counter
from tests.sources.rig import Reader
from tests.sources.writer import LIMIT_S, Writer


@pytest.mark.parametrize("seed", list(range(1, 13)))
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


@pytest.mark.parametrize("seed", list(range(1, 9)))
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    """Of a process that is killed, or sent back to an older state, each line counts just once.

    The older state is that of a host that lost its power: of one age, but not the latest.
    """
    chance = random.Random(-seed)
    log, older = tmp_path / "logs" / "mail.log", tmp_path / "older"
    log.parent.mkdir()
    older.mkdir()
    with Counter(log.parent) as counter:
        writer = Writer(log, seed, 8_000, lambda: len(counter.counted()))
        cuts, kills, setbacks = -1, 0, 0
        counter.start()
        writer.start()
        while writer.is_alive():
            time.sleep(chance.uniform(0.0, 0.6))
            number = chance.choice([signal.SIGKILL] * 4 + [signal.SIGTERM])
            assert counter.end(number) in (-number, 0)
            kills += 1
            with writer.cutting:
                if cuts == writer.cuts and chance.random() < 0.3:
                    setbacks += 1
                    counter.set_back(older)
                elif counter.counted():
                    cuts = writer.cuts
                    counter.keep(older)
            time.sleep(chance.uniform(0.0, 0.2))
            counter.start()
        writer.join()
        assert writer.error is None
        give_up = time.monotonic() + 20
        while len(counter.counted()) < writer.written and time.monotonic() < give_up:
            time.sleep(0.05)
        counter.end(signal.SIGTERM)
        numbers = sorted(counter.counted())
    assert numbers == list(range(writer.written))
    assert kills > 10
    assert setbacks > 0

"""What may happen to the file source and its logs: the moves and the scenario that a seed makes."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.simulation.simulation import Move, draw


class Scenario(NamedTuple):
    """What holds for a whole run.

    naming: how rotated files are named. glob: whether the source has a glob, and several logs.
    reused: whether inodes are used again. append: whether servers write with O_APPEND.
    grain: the granularity of mtimes (seconds). hints: whether the file system sends events.
    chunk: how many bytes the source reads at once; more than the longest line.
    """

    naming: str
    glob: bool
    reused: bool
    append: bool
    grain: float
    hints: bool
    chunk: int


NAMINGS = ("number", "number", "date", "date", "epoch", "inside", "link")

#: How often each kind of move is drawn: those of the scheduler, then those of the world.
_OF_THE_SOURCE = {"run": 30, "perform": 6, "arrive": 6, "wake": 6, "tick": 4, "save": 10}
_STOPPING = {"start": 8, "stop": 2, "kill": 2}
WORLD = {
    "write": 30,
    "go on": 24,
    "rotate": 6,
    "copytruncate": 4,
    "pack": 5,
    "cut": 3,
    "remove": 2,
    "prune": 2,
    "replace": 2,
    "power failure": 1,
    "shorten": 1,
    "refuse": 1,
    "allow": 2,
    "hide": 1,
    "show": 2,
}
_KINDS = {**_OF_THE_SOURCE, **_STOPPING, **WORLD}


def scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    chance = random.Random(f"scenario {seed}")
    return Scenario(
        naming=chance.choice(NAMINGS),
        glob=chance.random() < 0.4,
        reused=chance.random() < 0.5,
        append=chance.random() < 0.8,
        grain=chance.choice([0.004, 0.004, 0.004, 1.0]),
        hints=chance.random() < 0.8,
        chunk=chance.choice([4096, 8192, 256 * 1024]),
    )


def moves(seed: int, length: int = 160) -> list[Move]:
    """The moves of a seed."""
    return draw(seed, _KINDS, length, deep=WORLD)

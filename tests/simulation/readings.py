"""What may happen to the journal sources: the moves and the scenario that a seed makes."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.simulation.journals import ENTRIES
from tests.simulation.simulation import SCHEDULING, Move, draw

_SSHD, _POSTFIX, _DOVECOT, _RSPAMD = ENTRIES
#: Which source follows what.
LAYOUTS: tuple[dict[str, tuple[str, ...]], ...] = (
    {"sshd": (_SSHD,), "mail": (_POSTFIX, _DOVECOT)},
    {"mail": ENTRIES},
    {"sshd": (_SSHD,), "postfix": (_POSTFIX,), "dovecot": (_RSPAMD, _DOVECOT)},
    {"sshd": (_DOVECOT, _SSHD), "filter": (_RSPAMD,)},
)

ACTS = {
    "write": 40,
    "burst": 6,
    "save": 8,
    "start": 8,
    "stop": 2,
    "kill": 2,
    "leave": 3,
    "join": 6,
    "regroup": 3,
    "hold": 3,
    "release": 6,
    "look": 5,
    "say": 14,
    "notice": 4,
    "end": 5,
    "stick": 2,
    "unstick": 3,
    "heedless": 1,
    "refuse": 2,
    "fail": 2,
    "allow": 5,
    "rotate": 2,
    "series": 2,
    "vacuum": 1,
    "move": 1,
    "reboot": 1,
    "clock": 4,
    "hide": 1,
    "show": 2,
    "full": 1,
    "room": 2,
    "sweep": 1,
}


class ReadingScenario(NamedTuple):
    """What holds for a whole run.

    layout: which source follows what at first. woken: whether we wake journalctl. look: how often
    we look for that (seconds). room: how much fits into the pipe. chunk: how much is read at once.
    passed: after how many records of others a mark moves on. silent: after what time without a
    line it is asked why. old: how many records there are before the first start. hangs: whether
    journalctl hangs at the end.
    """

    layout: int
    woken: bool
    look: float
    room: int
    chunk: int
    passed: int
    silent: float
    old: int
    hangs: bool


def scenario(seed: int) -> ReadingScenario:
    """The scenario of a seed."""
    chance = random.Random(f"scenario {seed}")
    return ReadingScenario(
        layout=chance.randrange(len(LAYOUTS)),
        woken=chance.random() < 0.7,
        look=chance.choice([0.02, 0.02, 0.1]),
        room=chance.choice([64, 1000, 1 << 16, 1 << 16]),
        chunk=chance.choice([50, 700, 1 << 16, 1 << 16]),
        passed=chance.choice([2, 7, 1000]),
        silent=chance.choice([20.0, 70.0, 3600.0]),
        old=chance.choice([0, 5, 30]),
        hangs=chance.random() < 0.1,
    )


def moves(seed: int, length: int = 160) -> list[Move]:
    """The moves of a seed."""
    return draw(seed, {**SCHEDULING, **ACTS}, length, deep=ACTS)

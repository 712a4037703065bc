"""Linear time: no line, however it is made, costs more than its length.

Times on a shared machine are noise, so only ratios count: the best of several runs at a size and at
eight times the size. Linear is a ratio of eight, quadratic one of sixty-four.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from functools import partial

import pytest

from mailbanned.filters import Filter, FilterSet, Pattern
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Line
from tests.filters.shipped import NAMES, NOW, filter_set, shipped

SMALL, GROWTH, MOST = 6000, 8, 24.0
ROUNDS, RUNS = 4, 3


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs, in processor time."""
    times = []
    for _ in range(RUNS):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times)


def growth(work: Callable[[int], Callable[[], object]]) -> float:
    """How many times longer the work takes at GROWTH times the size; noise only makes it more."""
    ratios = []
    for _ in range(ROUNDS):
        ratios.append(best(work(SMALL * GROWTH)) / max(best(work(SMALL)), 1e-6))
        if ratios[-1] < MOST:
            break
    return min(ratios)


def adversaries(text: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """(head, part to repeat, tail) of lines that fit for long and fail late, if at all."""
    half = len(text) // 2
    return [
        (text[:half], text[half:], b"\n"),
        (text, text, b"\n"),
        (text[:half], b" ", text[half:]),
        (text[:half], b'"\\<>, ', text[half:]),
    ]


def stretched(
    pattern: Pattern, head: bytes, part: bytes, tail: bytes, size: int
) -> Callable[[], object]:
    """The search of a line of that size."""
    line = Line(1, None, head + part * (size // len(part)) + tail)
    return lambda: pattern.find(line)


PATTERNS = [(name, pattern) for name in NAMES for pattern in shipped(name).patterns]


@pytest.mark.parametrize(("name", "pattern"), PATTERNS, ids=[p.full_name for _, p in PATTERNS])
def test_a_pattern_takes_linear_time(name: str, pattern: Pattern) -> None:
    """A line that a pattern's own hits are stretched to costs no more than in proportion."""
    lines = [Line(*LineParser(UTC).parse(s.line, 1, NOW)) for s in shipped(name).samples if s.kind]
    fitting = next(line for line in lines if pattern.find(line))
    for head, part, tail in adversaries(fitting.text):
        assert growth(partial(stretched, pattern, head, part, tail)) < MOST


@pytest.mark.parametrize(
    ("part", "times"),
    [
        (b": reject: ", 24),
        (b"(auth failed, \r", 24),
        (b"\0", 24),
        (b"\n", 24),
        (b"x: reject: \n", 4),
        (b"May  1 06:43:08 mx sshd[1]: Failed \n", 4),
    ],
)
def test_a_block_takes_linear_time(part: bytes, times: int) -> None:
    """One endless line, many lines, or many candidates are read in proportion to their length."""

    def read(size: int) -> Callable[[], object]:
        block = part * (size * times // len(part))
        return lambda: list(filter_set(*NAMES).read(block, NOW))

    assert growth(read) < MOST


def test_a_block_of_failures_takes_linear_time() -> None:
    """Numbering and reporting many failures costs no more per line than a few do."""
    own = FilterSet(
        [Filter("own", (Pattern("own", "one", literal="from", match="from <ADDR>"),))],
        LineParser(UTC),
    )

    def read(size: int) -> Callable[[], object]:
        block = b"from 203.0.113.5\n" * (size // 17)
        return lambda: list(own.read(block, NOW))

    assert growth(read) < MOST

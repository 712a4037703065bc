"""Mutilated samples: whatever becomes of a log, nothing raises and nobody is framed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbanned.filters import Sample
from tests.e2e.fuzz import lines
from tests.e2e.fuzz.pieces import LINES, SAMPLES, mixed
from tests.filters.shipped import NAMES, found, shipped

THIRD_PARTY = "198.51.100.7"
LONGER = {"203.0.113.5": "203.0.113.55", "2001:db8::5": "2001:db8::55"}


def _hits() -> Iterator[Any]:
    """The samples that are reported, save those that hold two addresses, or that end with one."""
    for name in NAMES:
        for number, sample in enumerate(shipped(name).samples):
            line, address = sample.line.decode("utf-8", "replace"), sample.address
            if sample.kind != "failure" or address not in LONGER or THIRD_PARTY in line:
                continue
            if not line.endswith(address):
                yield pytest.param(name, sample, id=f"{name}-{number}")


BLOCKS = st.builds(
    lambda first, chance: mixed(chance, first, LINES),
    st.lists(st.sampled_from(LINES), min_size=1, max_size=4).map(b"".join),
    st.randoms(use_true_random=False),
)


@settings(max_examples=100)
@given(BLOCKS)
def test_mutilated_samples(block: bytes) -> None:
    """Cut, doubled, swapped and mixed samples raise nothing, report nobody who is not in their
    line, ban nobody else, and are the same in one block or in many.
    """
    lines.check_block(block)


@settings(max_examples=150)
@given(st.sampled_from(lines.NAME_SEEDS), st.randoms(use_true_random=False))
def test_names_made_of_samples(seed: bytes, chance: random.Random) -> None:
    """A name in which pieces of log lines are mixed gets nobody but its owner reported."""
    lines.check_name(seed[:1] + mixed(chance, seed[1:], SAMPLES))


@pytest.mark.parametrize(("name", "sample"), list(_hits()))
def test_a_line_that_lost_its_end(name: str, sample: Sample) -> None:
    """Wherever a line was cut off, it reports the whole address or nobody, not a shorter one."""
    assert sample.address is not None
    peer = LONGER[sample.address]
    line = sample.line.replace(sample.address.encode(), peer.encode())
    assert set(found(line, name).values()) == {peer}
    for end in range(line.index(peer.encode()), len(line)):
        assert set(found(line[:end], name).values()) <= {peer}, line[:end]

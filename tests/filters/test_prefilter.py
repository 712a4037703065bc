"""The search for texts: it finds just the lines, and texts in them, that a plain search does."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from mailbanned.filters.prefilter import Prefilter, drop_superstrings

# Few letters, so that texts overlap with themselves and each other, and contain each other.
LETTERS = st.lists(st.sampled_from([b"a", b"b", b" "]), min_size=1, max_size=5).map(b"".join)
TEXTS = st.lists(LETTERS, max_size=6)
BLOCKS = st.lists(st.sampled_from([b"a", b"b", b"ab ", b"\n", b"\n"]), max_size=60).map(b"".join)


def plain_search(texts: tuple[bytes, ...], block: bytes) -> list[tuple[bytes, int]]:
    """The lines that hold a text, and which they hold."""
    masks = (
        (line, sum(1 << number for number, text in enumerate(texts) if text in line))
        for line in block.split(b"\n")
    )
    return [(line, mask) for line, mask in masks if mask]


@given(TEXTS, BLOCKS, st.integers(1, 20))
@example([b"ab", b"ba", b"aa"], b"aaba\nabab", 100)
@example([b"ab ab", b" abb", b"b a"], b"ab abb\n", 1)
def test_it_finds_what_a_plain_search_finds(texts: list[bytes], block: bytes, piece: int) -> None:
    """Whatever overlaps, and wherever a block is divided for it."""
    literals = drop_superstrings(texts)
    found = list(Prefilter(literals, piece).lines(block))
    assert [(block[start:end], mask) for start, end, mask in found] == plain_search(literals, block)
    assert all(end == len(block) or block[end : end + 1] == b"\n" for _, end, _ in found)


def test_more_texts_than_are_compared_at_once() -> None:
    """Beyond some sixty the search works in another way; it finds the same."""
    texts = tuple(b"text%03d;" % number for number in range(300))
    block = b"\n".join(b"%b and %b" % (text, texts[-1]) for text in texts)
    found = [(block[start:end], mask) for start, end, mask in Prefilter(texts).lines(block)]
    assert found == plain_search(texts, block)


def test_superstrings_are_dropped() -> None:
    """Where a text contains another one, the other is enough."""
    assert drop_superstrings([b"abc", b"b", b"cd", b"b"]) == (b"b", b"cd")

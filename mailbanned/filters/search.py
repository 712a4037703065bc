"""Which lines of a block hold which of the texts that patterns are found by.

Known limit: a line with a hundred of them costs as much as a hundred lines with one; the patterns
that it is given to cost more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailbanned.texts import Texts

# So much is searched at once: what is found in it is in memory, and nobody else has a turn.
_PIECE = 64 * 1024


class Search:
    """Texts to search for. None contains another one: see `minimal`."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._find = Texts(texts).find
        self._bits = [1 << number for number in range(len(texts))]
        # Of texts that overlap only the first is found; these may begin inside a text.
        self._inside = [
            [(bit, other) for bit, other in zip(self._bits, texts, strict=True)
             if other != text and _may_begin_inside(other, text)]
            for text in texts
        ]  # fmt: skip

    def lines(self, block: bytes) -> Iterator[tuple[int, int, int]]:
        """(start, end, bit mask of the texts in it) of each line that holds any, in their order.

        end: where its LF stands, or the end of the block.
        """
        find, bits, inside, view = self._find, self._bits, self._inside, memoryview(block)
        begin = 0
        while begin < len(block):
            stop = _end_of_lines(block, begin)
            start, following, mask = begin, begin, 0
            for which, at, end in find(view[begin:stop]):
                at += begin
                if at >= following:
                    if mask:
                        yield start, following - 1, mask
                    start = block.rfind(b"\n", following, at) + 1 or following
                    following = block.find(b"\n", at) + 1 or len(block) + 1
                    mask = 0
                mask |= bits[which]
                for bit, other in inside[which]:
                    if block.find(other, at + 1, begin + end + len(other) - 1) >= 0:
                        mask |= bit
            if mask:
                yield start, following - 1, mask
            begin = stop


def _end_of_lines(block: bytes, begin: int) -> int:
    """Where the last whole line of a piece ends; a line that is longer than that is one piece."""
    if len(block) - begin <= _PIECE:
        return len(block)
    last = block.rfind(b"\n", begin, begin + _PIECE) + 1
    return last or block.find(b"\n", begin + _PIECE) + 1 or len(block)


def _may_begin_inside(other: bytes, text: bytes) -> bool:
    return any(other.startswith(text[at:]) for at in range(1, len(text)))


def minimal(texts: Sequence[bytes]) -> tuple[bytes, ...]:
    """Without those that contain another one: where they stand, the shorter one does too."""
    every = dict.fromkeys(texts)
    return tuple(t for t in every if not any(other != t and other in t for other in every))

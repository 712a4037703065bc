"""Finds the lines of a block that hold any of several literals, and which of them each line holds.

Known limit: a line that holds a literal a hundred times costs some ten microseconds more than one
that holds it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailbanned.bounded import BoundedDict
from mailbanned.multisearch import MultiSearch

# An attacker may write any number of combinations of literals.
_MAX_MASKS = 1000


class Prefilter:
    """A search for literals, none of which contains another one (see `drop_superstrings`).

    piece_bytes: how much is searched at once. It bounds the list of matches in memory, and the time
        for which no other task runs.
    """

    def __init__(self, literals: Sequence[bytes], piece_bytes: int = 64 * 1024) -> None:
        self._find = MultiSearch(literals).find
        self._bits = [1 << number for number in range(len(literals))]
        self._literals = literals
        self._piece_bytes = piece_bytes
        # For each set of literals found, the literals that may overlap them and so were not found.
        self._overlapping = BoundedDict[int, list[tuple[int, bytes]]](_MAX_MASKS)

    def lines(self, block: bytes) -> Iterator[tuple[int, int, int]]:
        """Yields (start, end, bit mask of the literals) of each line that holds any, in order.

        end: the offset of its LF, or of the end of the block.
        """
        begin = 0
        while begin < len(block):
            stop = self._end_of_piece(block, begin)
            for start, end, mask in self._search(block, begin, stop):
                overlapping = self._overlapping.get(mask)
                if overlapping is None:
                    overlapping = self._overlapping[mask] = self._find_overlapping(mask)
                for bit, literal in overlapping:
                    if block.find(literal, start, end) >= 0:
                        mask |= bit
                yield start, end, mask
            begin = stop

    def _end_of_piece(self, block: bytes, begin: int) -> int:
        """The end of the last whole line of a piece; a longer line is a piece of its own."""
        if len(block) - begin <= self._piece_bytes:
            return len(block)
        stop = begin + self._piece_bytes
        last = block.rfind(b"\n", begin, stop) + 1
        return last or block.find(b"\n", stop) + 1 or len(block)

    def _search(self, block: bytes, begin: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """As `lines`, for one piece; of literals that overlap only the first is found."""
        bits = self._bits
        start, next_start, mask = begin, begin, 0
        for which, at, _ in self._find(memoryview(block)[begin:stop]):
            at += begin
            if at >= next_start:
                if mask:
                    yield start, next_start - 1, mask
                start = block.rfind(b"\n", next_start, at) + 1 or next_start
                next_start = block.find(b"\n", at) + 1 or len(block) + 1
                mask = 0
            mask |= bits[which]
        if mask:
            yield start, next_start - 1, mask

    def _find_overlapping(self, mask: int) -> list[tuple[int, bytes]]:
        """The literals (with their bits) that may start inside one of those of the mask."""
        pairs = list(zip(self._bits, self._literals, strict=True))
        found = [literal for bit, literal in pairs if bit & mask]
        return [
            (bit, literal)
            for bit, literal in pairs
            if not bit & mask and any(_may_start_inside(literal, other) for other in found)
        ]


def _may_start_inside(literal: bytes, other: bytes) -> bool:
    return any(literal.startswith(other[at:]) for at in range(1, len(other)))


def drop_superstrings(texts: Sequence[bytes]) -> tuple[bytes, ...]:
    """Returns the texts without those that contain another one: a line with one holds the other."""
    unique = dict.fromkeys(texts)
    return tuple(
        text for text in unique if not any(other != text and other in text for other in unique)
    )

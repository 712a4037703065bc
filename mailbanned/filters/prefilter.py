"""Which lines of a block hold which of the texts that patterns are found by.

Known limit: a line that holds a text a hundred times costs some ten microseconds more than one that
holds it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailbanned.multisearch import MultiSearch

# So much is searched at once: what is found in it is in memory, and nobody else has a turn.
_PIECE = 64 * 1024
# Who attacks may write as many combinations of texts as he likes.
_MOST_MASKS = 1000


class Search:
    """Texts to search for. None contains another one: see `minimal`."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._find = MultiSearch(texts).find
        self._bits = [1 << number for number in range(len(texts))]
        self._texts = texts
        # By the texts that were found in a line, those that may stand there and were not found.
        self._hidden: dict[int, list[tuple[int, bytes]]] = {}

    def lines(self, block: bytes) -> Iterator[tuple[int, int, int]]:
        """(start, end, bit mask of the texts in it) of each line that holds any, in their order.

        end: where its LF stands, or the end of the block.
        """
        begin = 0
        while begin < len(block):
            stop = _end_of_lines(block, begin)
            for start, end, mask in self._found(block, begin, stop):
                hidden = self._hidden.get(mask)
                if hidden is None:
                    hidden = self._hidden_by(mask)
                for bit, text in hidden:
                    if block.find(text, start, end) >= 0:
                        mask |= bit
                yield start, end, mask
            begin = stop

    def _found(self, block: bytes, begin: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """As `lines`, for a piece of a block; of texts that overlap only the first is found."""
        bits = self._bits
        start, following, mask = begin, begin, 0
        for which, at, _ in self._find(memoryview(block)[begin:stop]):
            at += begin
            if at >= following:
                if mask:
                    yield start, following - 1, mask
                start = block.rfind(b"\n", following, at) + 1 or following
                following = block.find(b"\n", at) + 1 or len(block) + 1
                mask = 0
            mask |= bits[which]
        if mask:
            yield start, following - 1, mask

    def _hidden_by(self, mask: int) -> list[tuple[int, bytes]]:
        """The texts that may begin inside one of those of the mask, and their bits."""
        every = list(zip(self._bits, self._texts, strict=True))
        found = [text for bit, text in every if bit & mask]
        if len(self._hidden) >= _MOST_MASKS:
            self._hidden.clear()
        self._hidden[mask] = [
            (bit, text)
            for bit, text in every
            if not bit & mask and any(_may_begin_inside(text, one) for one in found)
        ]
        return self._hidden[mask]


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

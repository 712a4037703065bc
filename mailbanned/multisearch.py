"""Where any of many texts stand in a stretch of bytes: one pass for all of them, at memory speed.

The only file that knows the library. It compares some dozen bytes with all texts at once, which is
several times as fast as bytes.find for a single one.

Known limits: where texts overlap, only the one that begins first is told. With more than some sixty
texts it falls back to an automaton, which is about as fast as bytes.find for two or three of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ahocorasick_rs import BytesAhoCorasick, MatchKind


class MultiSearch:
    """Texts to search for, none of them empty.

    find: (which text, where it begins, where it ends) for all that stand in some bytes, in their
        order.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        self.find = BytesAhoCorasick(texts, MatchKind.LeftmostFirst).find_matches_as_indexes

"""Searches bytes for any of several texts, in one pass for all of them, at memory speed.

No other module imports the library. It compares some dozen bytes with all texts at once, which is
several times as fast as bytes.find for a single text.

Known limits: of texts that overlap, only the first is found. With more than about sixty texts the
library uses an automaton, which is about as fast as bytes.find for two or three texts.
"""

from __future__ import annotations

from collections.abc import Sequence

from ahocorasick_rs import BytesAhoCorasick, MatchKind


class MultiSearch:
    """A search for several texts, none of them empty.

    find: returns (index of the text, start, end) for each text found in some bytes, in order.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        self.find = BytesAhoCorasick(texts, MatchKind.LeftmostFirst).find_matches_as_indexes

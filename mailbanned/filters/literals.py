"""The texts that stand in every line that matches a pattern, read from the pattern itself.

Known limits: what all alternatives have in common is not found, nor is text on both sides of a
repeat joined; a text too few only makes the search slower. A text too many would lose lines, so
whatever is not plainly literal ends a text.
"""

from __future__ import annotations

from mailbanned.filters.syntax import Branches, Piece, cut

SHORTEST = 4


def required(pattern: str) -> tuple[bytes, ...]:
    """The literal texts of SHORTEST bytes or more that no matching line lacks, from left to right.

    pattern: RE2, without our tags. No text stands twice or inside another one.
    """
    runs = [bytearray()]
    _collect(cut(pattern), runs)
    found = dict.fromkeys(bytes(run) for run in runs if len(run) >= SHORTEST)
    return tuple(one for one in found if not any(one != other and one in other for other in found))


def _collect(branches: Branches, runs: list[bytearray]) -> None:
    """Adds what must stand there: to the last run, or to a new one behind what is not literal."""
    if len(branches) != 1:
        runs.append(bytearray())
        return
    for piece in branches[0]:
        if piece.repeated:
            runs.append(bytearray())
        if piece.least:
            _add(piece, runs)
        if piece.repeated:
            runs.append(bytearray())


def _add(piece: Piece, runs: list[bytearray]) -> None:
    if piece.literal and not piece.folded:
        runs[-1] += piece.literal
    else:
        _collect(piece.branches, runs)

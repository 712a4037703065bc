"""Where a pattern stops fitting a line: for people who write filters.

The start of the pattern is matched against the start of the line, piece by piece, until a piece
is one too many. Words are pieces: the place is the start of the word that differs.

Known limits: behind a piece that takes anything (`.*`) the place is the last one where the rest
could have begun, which need not be the one that was meant. An optional piece is never wanted.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

from mailbanned.filters.pattern import compiled, expand
from mailbanned.filters.regex import Branches, Piece, cut

END = "the end of the line"

_LONGEST_WANTED = 48
_ROUND = 48  # columns shown on either side of the place
_SPELT = {expand(tag): tag for tag in ("<ADDR>", "<USER>", "<MAIL>")}
_WORD = re.compile(rb"[\w\x80-\xff]+")


@dataclass(frozen=True, slots=True)
class Stop:
    """The place: so many bytes of the text fit, and what is wanted behind them.

    wanted: the next piece of the pattern, as it is spelt and perhaps shortened, or END; of several
    alternatives that come as far, all.
    """

    at: int
    wanted: str


def stops(pattern: str, text: bytes) -> Stop | None:
    """Where the text stops fitting the pattern; None if all of it fits.

    pattern: RE2, without our tags. Raises PatternError if RE2 refuses it.
    """
    end = compiled(pattern).match(text)
    if end is not None:
        return None if end == len(text) else Stop(end, END)
    return _furthest("", "", cut(pattern), text)


def show(stop: Stop, text: bytes) -> str:
    """Two lines: the text round the place, what is not printable ASCII as \\xNN; and the place."""
    left = _fitting(_escaped(text[: stop.at])[::-1])[::-1]
    right = _fitting(_escaped(text[stop.at :]))
    before = ("…" if len(left) < stop.at else "") + "".join(left)
    after = "".join(right) + ("…" if stop.at + len(right) < len(text) else "")
    wanted = stop.wanted if stop.wanted == END else f"`{_printable(stop.wanted)}`"
    return f"{before}{after}\n{' ' * len(before)}^ fits up to here; wanted: {wanted}"


def _furthest(before: str, closing: str, branches: Branches, text: bytes, at: int = 0) -> Stop:
    """Where the branch that comes furthest stops; what each wants of those that come as far.

    before, closing: what stands round the branches in the pattern; before fits up to `at`. A branch
    that begins to fit goes first, even if what stands before it (`.*`) alone could take more.
    """
    found = [_stop(before, closing, one, text) for one in branches]
    begun = [stop for stop in found if stop.at != at] or found
    at = max(stop.at for stop in begun)
    wanted = dict.fromkeys(stop.wanted for stop in begun if stop.at == at and stop.wanted)
    return Stop(at, _short(" or ".join(wanted)))


def _stop(before: str, closing: str, branch: Sequence[Piece], text: bytes) -> Stop:
    steps = _words(branch)

    def start(count: int) -> str:
        return before + "".join(step.source for step in steps[:count])

    def end(count: int) -> int | None:
        return compiled(start(count) + closing).match(text)

    fit = bisect_left(range(1, len(steps) + 1), True, key=lambda count: end(count) is None)
    at = end(fit) or 0
    if fit == len(steps):
        return Stop(at, "")  # it fits once, but not as often as it is wanted
    failing = steps[fit]
    if failing.branches:
        opening = start(fit) + failing.opening
        inner = _furthest(opening, ")" + closing, failing.branches, text, at)
        if inner.at != at or (len(failing.branches) == 1 and "<" not in failing.opening):
            return Stop(inner.at, inner.wanted or _wanted([failing]))
    return Stop(at, _wanted(steps[fit:]))


def _words(branch: Sequence[Piece]) -> list[Piece]:
    """The pieces of a branch, letters joined to words."""
    steps: list[Piece] = []
    for piece in branch:
        if steps and _in_word(steps[-1]) and _in_word(piece):
            last = steps.pop()
            piece = Piece(last.source + piece.source, last.literal + piece.literal)
        steps.append(piece)
    return steps


def _in_word(piece: Piece) -> bool:
    return _plain(piece) and _WORD.fullmatch(piece.literal) is not None


def _plain(piece: Piece) -> bool:
    return bool(piece.literal) and not piece.repeated


def _wanted(steps: Sequence[Piece]) -> str:
    """The first step as the filter file spells it; if it is text, with all text that follows."""
    source = "".join(step.source for step in takewhile(_plain, steps)) or steps[0].source
    if source in ("$", r"\z"):
        return END
    for plain, tag in _SPELT.items():
        source = source.replace(plain, tag)
    return _short(source)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_WANTED else text[: _LONGEST_WANTED - 1] + "…"


def _escaped(text: bytes) -> list[str]:
    """Each byte as it is shown; other alphabets too would shift the caret, or hide something."""
    return [chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in text]


def _fitting(shown: list[str]) -> list[str]:
    """As many from the start as there is room for."""
    widths = accumulate(map(len, shown))
    return [one for one, width in zip(shown, widths, strict=True) if width <= _ROUND]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode-escape").decode() for c in text)

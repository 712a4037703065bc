r"""A pattern cut into its pieces: just so much of RE2's syntax as that takes, in one pass.

Whether the pattern is good is for RE2 to say; the pieces of one that it refuses mean nothing.

Known limits: `\Q...\E` stays one piece, and so does a character beyond ASCII, although either is
several characters to RE2 (which reads bytes) and a repeat behind it is for the last one only.
Groups more than 50 deep are not looked into.

The texts that stand in every line that matches a pattern, read from the pattern itself.

Known limits: what all alternatives have in common is not found, nor is text on both sides of a
repeat joined; a text too few only makes the search slower. A text too many would lose lines, so
whatever is not plainly literal ends a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

_DEEPEST = 50

_TOKEN = re.compile(
    r"""
      (?P<repeat> (?: [*+?] | \{ (?P<least>0|[1-9]\d{0,3}) (?:,(?:0|[1-9]\d{0,3})?)? \} ) \?? )
    | (?P<flags>  \(\? (?P<on>[imsU]*) (?:-(?P<off>[imsU]+))? [:)] )
    | (?P<open>   \( (?:\?P?<[^>]*>)? )
    | (?P<close>  \) )
    | (?P<or>     \| )
    | (?P<other>  [.^$] | \[ \^?+ \]?+ (?: \[:\^?[a-z]+:\] | \\. | [^\]\\] )*+ \] )
    | (?P<quote>  \\Q (?P<quoted>.*?) (?:\\E|\Z) )
    | (?P<hex>    \\x (?: [0-9A-Fa-f]{2} | \{[0-9A-Fa-f]+\} ) )
    | (?P<octal>  \\ (?: 0[0-7]{0,2} | [1-7][0-7]{1,2} ) )
    | (?P<escape> \\ (?: [pP](?:\{[^}]*\}|.) | . ) )
    | (?P<plain>  . )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_CONTROLS = {"a": b"\a", "f": b"\f", "n": b"\n", "r": b"\r", "t": b"\t", "v": b"\v"}


@dataclass(frozen=True, slots=True)
class Piece:
    """One item of a pattern with its repeat.

    source: as it is written; the sources of a branch, joined, are the branch.
    literal: the bytes it stands for if it is plain text, else empty.
    folded: its letters stand for both cases.
    repeated: it has a repeat; least: so often it stands there at least.
    opening: how it begins if it is a group; branches: the alternatives in the group.
    """

    source: str
    literal: bytes = b""
    folded: bool = False
    repeated: bool = False
    least: int = 1
    opening: str = ""
    branches: Branches = ()


Branches = tuple[tuple[Piece, ...], ...]


@dataclass(slots=True)
class _Group:
    """A group that is still open, or the whole pattern; `start` is where its inside begins."""

    opening: str
    start: int
    folded: bool
    flags: str = ""
    branches: list[tuple[Piece, ...]] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)

    def all_branches(self) -> Branches:
        return (*self.branches, tuple(self.pieces))


def cut(pattern: str) -> Branches:
    """The alternatives of a pattern, each as its pieces."""
    group, outer = _Group("", 0, False), list[_Group]()
    pending = ""  # what is no piece of its own: it goes in front of the next one
    for token in _TOKEN.finditer(pattern):
        written, pending = pending + token[0], ""
        match token.lastgroup:
            case "flags" if token[0].endswith(")"):
                group.folded = _folded(group.folded, token)
                group.flags += token[0]
                pending = written
            case "quote" if not token["quoted"]:
                pending = written
            case "flags" | "open":
                outer.append(group)
                group = _Group(written, token.end(), _folded(group.folded, token))
            case "close" if outer:
                piece = _closed(group, pattern[group.start : token.end()], len(outer))
                group = outer.pop()
                group.pieces.append(piece)
            case "or":
                group.branches.append(tuple(group.pieces))
                group.pieces = []
                pending = group.flags  # they hold to the end of the group
            case "repeat" if group.pieces:
                group.pieces[-1] = _repeated(group.pieces[-1], written, token)
            case _:
                group.pieces.append(Piece(written, _literal(token), group.folded))
    return group.all_branches()


def _closed(group: _Group, inside: str, depth: int) -> Piece:
    branches = group.all_branches() if depth <= _DEEPEST else ()
    return Piece(group.opening + inside, opening=group.opening, branches=branches)


def _repeated(piece: Piece, written: str, token: re.Match[str]) -> Piece:
    least = int(token["least"] or token[0].startswith("+"))
    return replace(piece, source=piece.source + written, repeated=True, least=piece.least * least)


def _folded(before: bool, token: re.Match[str]) -> bool:
    """Whether letters stand for both cases behind these flags."""
    return (before or "i" in (token["on"] or "")) and "i" not in (token["off"] or "")


def _literal(token: re.Match[str]) -> bytes:
    """The bytes that a token stands for; none if it is not plain text."""
    text = token[0]
    match token.lastgroup:
        case "plain":
            return text.encode()
        case "quote":
            return token["quoted"].encode()
        case "hex":
            return _byte(int(text[2:].strip("{}"), 16))
        case "octal":
            return _byte(int(text[1:], 8))
        case "escape" if text[1].isascii() and not text[1].isalnum():
            return text[1].encode()
        case "escape":
            return _CONTROLS.get(text[1], b"")
    return b""


def _byte(code: int) -> bytes:
    return bytes([code]) if code < 256 else b""


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

r"""Parses patterns: as much of RE2's syntax as is needed, in one pass.

Serves two purposes: the literal texts that every matching line must contain (for the prefilter),
and the nodes of a pattern (to show where a line stops matching). Whether a pattern is valid is for
RE2 to decide; the nodes of an invalid one are meaningless.

Known limits: `\Q...\E` is one node, and so is a character beyond ASCII, although either is several
characters to RE2 (which reads bytes) and a repeat after it applies only to the last one. Groups
nested more than 50 deep are not parsed. Literals that all alternatives share are not found, nor is
text on both sides of a repeat joined: a missing literal only makes the search slower. A wrong one
would lose lines, so anything that is not plainly literal ends a literal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

#: The shortest literal (bytes) that tells lines apart.
MIN_LITERAL = 4
_MAX_DEPTH = 50

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
class Node:
    """One item of a pattern with its repeat.

    source: the syntax; the sources of a branch, joined, are the branch.
    literal: the bytes it matches if it is plain text, else empty.
    ignores_case: its letters match both cases.
    repeated: it has a repeat. least: the least number of its repetitions.
    opening: the start of its syntax if it is a group. branches: the alternatives of the group.
    """

    source: str
    literal: bytes = b""
    ignores_case: bool = False
    repeated: bool = False
    least: int = 1
    opening: str = ""
    branches: Branches = ()


Branches = tuple[tuple[Node, ...], ...]


@dataclass(slots=True)
class _Group:
    """A group that is still open, or the whole pattern. start: the offset of its content."""

    opening: str
    start: int
    ignores_case: bool
    flags: str = ""
    branches: list[tuple[Node, ...]] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def all_branches(self) -> Branches:
        return (*self.branches, tuple(self.nodes))


def parse(pattern: str) -> Branches:
    """Returns the alternatives of a pattern, each as its nodes."""
    group, outer = _Group("", 0, False), list[_Group]()
    pending = ""  # syntax that is not a node of its own: it becomes a part of the next one
    for token in _TOKEN.finditer(pattern):
        written, pending = pending + token[0], ""
        match token.lastgroup:
            case "flags" if token[0].endswith(")"):
                group.ignores_case = _ignores_case_after(group.ignores_case, token)
                group.flags += token[0]
                pending = written
            case "quote" if not token["quoted"]:
                pending = written
            case "flags" | "open":
                outer.append(group)
                group = _Group(written, token.end(), _ignores_case_after(group.ignores_case, token))
            case "close" if outer:
                node = _close(group, pattern[group.start : token.end()], len(outer))
                group = outer.pop()
                group.nodes.append(node)
            case "or":
                group.branches.append(tuple(group.nodes))
                group.nodes = []
                pending = group.flags  # they hold to the end of the group
            case "repeat" if group.nodes:
                group.nodes[-1] = _repeat(group.nodes[-1], written, token)
            case _:
                group.nodes.append(Node(written, _literal(token), group.ignores_case))
    return group.all_branches()


def _close(group: _Group, inside: str, depth: int) -> Node:
    branches = group.all_branches() if depth <= _MAX_DEPTH else ()
    return Node(group.opening + inside, opening=group.opening, branches=branches)


def _repeat(node: Node, written: str, token: re.Match[str]) -> Node:
    least = int(token["least"] or token[0].startswith("+"))
    return replace(node, source=node.source + written, repeated=True, least=node.least * least)


def _ignores_case_after(before: bool, token: re.Match[str]) -> bool:
    """Whether letters match both cases after these flags."""
    return (before or "i" in (token["on"] or "")) and "i" not in (token["off"] or "")


def _literal(token: re.Match[str]) -> bytes:
    """The bytes that a token matches; none if it is not plain text."""
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


def required_literals(pattern: str) -> tuple[bytes, ...]:
    """Returns the literals that every matching line contains, from left to right.

    pattern: RE2, without placeholders. Literals are MIN_LITERAL bytes or longer; none is repeated
    or inside another one.
    """
    runs = [bytearray()]
    _collect(parse(pattern), runs)
    literals = dict.fromkeys(bytes(run) for run in runs if len(run) >= MIN_LITERAL)
    return tuple(
        literal
        for literal in literals
        if not any(literal != other and literal in other for other in literals)
    )


def _collect(branches: Branches, runs: list[bytearray]) -> None:
    """Adds required text to the last run, or to a new run after anything that is not literal."""
    if len(branches) != 1:
        runs.append(bytearray())
        return
    for node in branches[0]:
        if node.repeated:
            runs.append(bytearray())
        if node.least:
            _add(node, runs)
        if node.repeated:
            runs.append(bytearray())


def _add(node: Node, runs: list[bytearray]) -> None:
    if node.literal and not node.ignores_case:
        runs[-1] += node.literal
    else:
        _collect(node.branches, runs)

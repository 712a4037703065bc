"""Finds where a line stops matching a pattern: for people who write filters.

The start of the pattern is matched against the start of the line, node by node, until a node
does not match. Words are single nodes, so the result is the start of the word that differs.

Known limits: after a node that matches anything (`.*`) the result is the last offset at which the
rest could have started, which need not be the intended one. An optional node is never expected.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

from mailbanned.escape import escape_control
from mailbanned.filters.pattern import PrefixMatcher, expand_placeholders
from mailbanned.filters.regex import Branches, Node, parse

END = "the end of the line"

_MAX_EXPECTED = 48  # characters
_CONTEXT = 48  # columns shown on either side of the mismatch
_PLACEHOLDERS = {
    expand_placeholders(placeholder): placeholder for placeholder in ("<ADDR>", "<USER>", "<MAIL>")
}
_WORD = re.compile(rb"[\w\x80-\xff]+")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where a text stops matching.

    offset: the number of bytes that match.
    expected: the next node of the pattern in the syntax of filter files, perhaps shortened, or END.
        If several alternatives match equally far, the next nodes of all of them.
    """

    offset: int
    expected: str


def first_mismatch(pattern: str, text: bytes) -> Mismatch | None:
    """Returns where the text stops matching the pattern, None if all of it matches.

    pattern: RE2, without placeholders. Raises PatternError if RE2 refuses it.
    """
    end = PrefixMatcher(pattern).match(text)
    if end is not None:
        return None if end == len(text) else Mismatch(end, END)
    return _furthest("", "", parse(pattern), text)


def show(mismatch: Mismatch, text: bytes) -> str:
    """Two lines: the text around the mismatch, non-ASCII bytes as \\xNN; and a caret below it."""
    left = _fitting(_escape(text[: mismatch.offset])[::-1])[::-1]
    right = _fitting(_escape(text[mismatch.offset :]))
    before = ("…" if len(left) < mismatch.offset else "") + "".join(left)
    after = "".join(right) + ("…" if mismatch.offset + len(right) < len(text) else "")
    expected = mismatch.expected
    expected = expected if expected == END else f"`{escape_control(expected)}`"
    return f"{before}{after}\n{' ' * len(before)}^ fits up to here; wanted: {expected}"


def _furthest(before: str, after: str, branches: Branches, text: bytes, at: int = 0) -> Mismatch:
    """The mismatch of the branch that matches furthest; of several, with what each expects.

    before, after: the pattern around the branches; `before` matches up to `at`. Branches that match
    beyond `at` are preferred, even if `before` alone (`.*`) could match more.
    """
    mismatches = [_mismatch(before, after, branch, text) for branch in branches]
    begun = [mismatch for mismatch in mismatches if mismatch.offset != at] or mismatches
    at = max(mismatch.offset for mismatch in begun)
    expected = [mismatch.expected for mismatch in begun if mismatch.offset == at]
    return Mismatch(at, _shorten(" or ".join(dict.fromkeys(filter(None, expected)))))


def _mismatch(before: str, after: str, branch: Sequence[Node], text: bytes) -> Mismatch:
    nodes = _join_words(branch)

    def start(count: int) -> str:
        return before + "".join(node.source for node in nodes[:count])

    def match(count: int) -> int | None:
        return PrefixMatcher(start(count) + after).match(text)

    matching = bisect_left(range(1, len(nodes) + 1), True, key=lambda count: match(count) is None)
    at = match(matching) or 0
    if matching == len(nodes):
        return Mismatch(at, "")  # it matches once, but must be repeated
    failing = nodes[matching]
    if failing.branches:
        opening = start(matching) + failing.opening
        inner = _furthest(opening, ")" + after, failing.branches, text, at)
        if inner.offset != at or (len(failing.branches) == 1 and "<" not in failing.opening):
            return Mismatch(inner.offset, inner.expected or _expected([failing]))
    return Mismatch(at, _expected(nodes[matching:]))


def _join_words(branch: Sequence[Node]) -> list[Node]:
    """The nodes of a branch, those of one word joined."""
    joined: list[Node] = []
    for node in branch:
        if joined and _is_in_word(joined[-1]) and _is_in_word(node):
            last = joined.pop()
            node = Node(last.source + node.source, last.literal + node.literal)
        joined.append(node)
    return joined


def _is_in_word(node: Node) -> bool:
    return _is_literal(node) and _WORD.fullmatch(node.literal) is not None


def _is_literal(node: Node) -> bool:
    return bool(node.literal) and not node.repeated


def _expected(nodes: Sequence[Node]) -> str:
    """The first node in the syntax of filter files; if it is literal, with all that follow it."""
    source = "".join(node.source for node in takewhile(_is_literal, nodes)) or nodes[0].source
    if source in ("$", r"\z"):
        return END
    for expanded, placeholder in _PLACEHOLDERS.items():
        source = source.replace(expanded, placeholder)
    return _shorten(source)


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_EXPECTED else text[: _MAX_EXPECTED - 1] + "…"


def _escape(text: bytes) -> list[str]:
    """Each byte as shown. Only ASCII is printed: other alphabets would shift the caret."""
    return [chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in text]


def _fitting(columns: list[str]) -> list[str]:
    """The first strings that fit into the context together."""
    widths = accumulate(map(len, columns))
    return [text for text, width in zip(columns, widths, strict=True) if width <= _CONTEXT]

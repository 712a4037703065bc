"""Patterns to try things on: the shipped ones, and random ones with texts that match them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC
from functools import cache
from itertools import count
from typing import Any, NamedTuple

from hypothesis import strategies as st

from mailbanned.filters.pattern import expand_placeholders
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Line
from tests.filters.shipped import FOLDER, NOW


@cache
def shipped_file(name: str) -> dict[str, Any]:
    """The file of a shipped filter as it is written."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text())


def shipped_patterns(name: str) -> Iterator[str]:
    """The patterns of a shipped filter, tag and all, without our spellings."""
    file = shipped_file(name)
    for pattern in file["patterns"]:
        yield f"(?:{expand_placeholders(file['tag'])})(?:{expand_placeholders(pattern['match'])})"


def shipped_texts(name: str) -> list[bytes]:
    """The hits of a shipped filter, without timestamp and host."""
    lines = (hit["line"].encode() for hit in shipped_file(name)["hits"])
    return [Line(*LineParser(UTC).parse(line, 1, NOW)).text for line in lines]


class Written(NamedTuple):
    """A random pattern and three texts that match it, by the way it was built."""

    pattern: str
    texts: tuple[bytes, ...]


# A repeat, and how often each of the three texts repeats.
_REPEATS = {
    "": (1, 1, 1), "*": (0, 1, 3), "+": (1, 2, 4), "?": (0, 1, 1), "+?": (1, 2, 1),
    "{0}": (0, 0, 0), "{2}": (2, 2, 2), "{1,}": (1, 2, 3), "{0,1}": (1, 0, 0), "{2,3}?": (2, 3, 2),
}  # fmt: skip
_SPECIAL = frozenset(r"\.+*?()|[]{}^$")
_NO_TEXT = [Written(pattern, (b"", b"", b"")) for pattern in ("()", "(?:)", r"\Q\E", "(?s)")]
_CLASSES = [
    Written(".", (b"a", b".", b"\xff")),
    Written(r"\d", (b"0", b"1", b"7")),
    Written("[]ab]", (b"]", b"a", b"b")),
    Written(r"[^\]ab]", (b"[", b"x", b"\n")),
    Written("[[:alpha:](]", (b"(", b"b", b"Z")),
    Written(r"\pN", (b"1", b"2", b"3")),
    Written(r"\p{Latin}", (b"a", b"B", b"c")),
]


@st.composite
def _literals(draw: st.DrawFn) -> Written:
    """Plain text in one of its spellings, perhaps with a repeat for its last byte."""
    text = draw(st.text("abcB .[(*|\\-\té{2}", min_size=1, max_size=7))
    if draw(st.booleans()):
        pattern = rf"\Q{text}\E"
    else:
        pattern = "".join(draw(st.sampled_from(_spellings(char))) for char in text)
    repeat, times = draw(st.sampled_from(sorted(_REPEATS.items())))
    head, last = text.encode()[:-1], text.encode()[-1:]
    return Written(pattern + repeat, tuple(head + last * n for n in times))


def _spellings(char: str) -> list[str]:
    if not char.isascii():
        return [char]
    code = ord(char)
    ways = [f"\\x{code:02x}", f"\\x{{{code:x}}}", f"\\{code:03o}"]
    if not char.isalnum():
        ways.append("\\" + char)
    if char == "\t":
        ways.append(r"\t")
    return ways if char in _SPECIAL else [*ways, char, char]


def _row(pieces: list[Written]) -> Written:
    """Pieces one after the other."""
    texts = zip(*(piece.texts for piece in pieces), strict=True)
    return Written("".join(piece.pattern for piece in pieces), tuple(map(b"".join, texts)))


@st.composite
def _groups(draw: st.DrawFn, inside: st.SearchStrategy[Written]) -> Written:
    """A group of one alternative or more, with a repeat."""
    branches = draw(st.lists(inside, min_size=1, max_size=3))
    opening = draw(st.sampled_from(["(", "(?:", "(?P<n>", "(?<n>", "(?s-i:", "(?i:", "((?i)"]))
    repeat, times = draw(st.sampled_from(sorted(_REPEATS.items())))
    pattern = opening + "|".join(branch.pattern for branch in branches) + ")"
    texts = [text for branch in branches for text in branch.texts]
    if "i" in opening and "-i" not in opening and "(?s-i:" not in pattern:
        texts = [text.swapcase() for text in texts]
    any_text = st.sampled_from(texts)
    return Written(
        pattern + repeat, tuple(b"".join(draw(any_text) for _ in range(n)) for n in times)
    )


def _named(written: Written) -> Written:
    """With a name of its own for each group."""
    numbers = count()
    return written._replace(
        pattern=re.sub(r"(?<=<)n(?=>)", lambda _: f"n{next(numbers)}", written.pattern)
    )


_leaves = _literals() | st.sampled_from(_CLASSES) | st.sampled_from(_NO_TEXT)
_rows = st.lists(st.recursive(_leaves, _groups, max_leaves=6), min_size=1, max_size=5).map(_row)

#: Random patterns, each with texts that match.
written = _rows.map(_named)

"""The documents, taken apart: their headings, links, pieces of code, and blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise, takewhile
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

TOP = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/adding.md",
    "docs/architecture.md",
    "docs/configuration.md",
    "docs/moving-from-fail2ban.md",
    "docs/operations.md",
    "docs/testing.md",
    "docs/benchmarks/results.md",
)


class Piece(NamedTuple):
    """A piece of a page, and where it begins. language: of a fenced block."""

    page: str
    line: int
    text: str
    language: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def text(page: str) -> str:
    """A page as it is written."""
    return (TOP / page).read_text(encoding="utf-8")


def flowing(page: str) -> str:
    """A page with every break of a line as one blank."""
    return " ".join(text(page).split())


@cache
def _tokens(page: str) -> tuple[Token, ...]:
    return tuple(MarkdownIt("commonmark").enable("table").parse(text(page)))


def _inside(page: str) -> Iterator[tuple[int, Token]]:
    line = 0
    for token in _tokens(page):
        line = token.map[0] + 1 if token.map else line
        for child in token.children or ():
            yield line, child


def words(*pages: str) -> list[Piece]:
    """What stands `like this` in running text and tables."""
    return [
        Piece(page, line, token.content)
        for page in pages or PAGES
        for line, token in _inside(page)
        if token.type == "code_inline"
    ]


def blocks(*pages: str, language: str | None = None) -> list[Piece]:
    """The blocks of code. language: only fenced ones of this language."""
    return [
        Piece(page, token.map[0] + 1, token.content, token.info)
        for page in pages or PAGES
        for token in _tokens(page)
        if token.type in ("fence", "code_block") and token.map and language in (None, token.info)
    ]


def block(page: str, start: str) -> str:
    """The one block of a page that begins so."""
    (found,) = (one.text for one in blocks(page) if one.text.startswith(start))
    return found


def links() -> list[Piece]:
    """Where links and pictures lead."""
    return [
        Piece(page, line, str(token.attrs.get("href") or token.attrs["src"]))
        for page in PAGES
        for line, token in _inside(page)
        if token.type in ("link_open", "image")
    ]


def anchors(page: str) -> set[str]:
    """The names by which headings are linked to, as GitHub makes them."""
    tokens = _tokens(page)
    pairs = pairwise(tokens)
    titles = [after.content for token, after in pairs if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def table(page: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column is called so, as they are written."""
    lines = iter(text(page).splitlines())
    next(line for line in lines if line.startswith(f"| {first} |"))
    next(lines)
    rows = takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def created(page: str) -> dict[str, str]:
    """The files that a recipe makes, with what is in them: each is named in front of its block."""
    return dict(re.findall(r"`([\w/.-]+\.py)`:\n+```python\n(\"{3}.*?)```", text(page), re.DOTALL))


def is_shown(example: str, printed: str) -> bool:
    """Whether an example is what is printed; a line `...` stands for any number of lines."""
    lines = [
        ".*" if line.strip() == "..." else re.escape(line.rstrip())
        for line in example.rstrip().split("\n")
    ]
    whole = "\n".join(line.rstrip() for line in printed.rstrip().split("\n"))
    return re.fullmatch("\n".join(lines), whole, re.DOTALL) is not None

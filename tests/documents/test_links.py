"""What the documents lead to is there: links, headings, files, parts of the status."""

from __future__ import annotations

import re

import pytest

from tests.documents.pages import PAGES, TOP, Piece, anchors, created, links, text, words

# Where a path in a document may begin.
_FROM = (
    "",
    "docs",
    "mailbanned",
    "tests",
    "tests/e2e/host",
    "tests/e2e/soak",
    "tests/bench",
    "tests/simulation",
    "mailbanned/sources",
    "config",
)
_PATH = re.compile(
    r"(?:\.?[a-z0-9_-]+/)*[A-Za-z0-9_.-]+\.(?:py|sh|md|svg|service|rules)|"
    r"(?:\.?[a-z0-9_-]+/)+[A-Za-z0-9_.-]*"
)
_EXAMPLE = re.compile(r"NAME|base-\*|conf\.d/|filters?\.d/|filters/|action\.d/|jail\.d/")


@pytest.mark.parametrize("link", links(), ids=str)
def test_links_lead_somewhere(link: Piece) -> None:
    """A link inside the checkout leads to a file that is there, and to a heading that it has."""
    if link.text.startswith("https://"):
        return
    name, _, anchor = link.text.partition("#")
    target = ((TOP / link.page).parent / name).resolve() if name else TOP / link.page
    assert target.exists()
    if anchor:
        assert anchor in anchors(str(target.relative_to(TOP)))


def test_paths_are_there() -> None:
    """What looks like a path of the checkout is one, but for what a recipe makes."""
    made = created("docs/adding.md")
    tops = {path.name for folder in _FROM for path in (TOP / folder).iterdir()}
    paths = [
        one
        for one in words()
        if _PATH.fullmatch(one.text)
        and (one.text.partition("/")[0] in tops or one.text.endswith((".py", ".sh")))
        and not _EXAMPLE.search(one.text)
        and one.text not in made
    ]
    assert {"daemon/pipeline.py", "tests/real/", "scripts/base.sh", ".ci/run"} <= {
        one.text for one in paths
    }
    assert [
        str(one) for one in paths if not any((TOP / start / one.text).exists() for start in _FROM)
    ] == []


def test_what_is_installed_is_there() -> None:
    """README.md installs files that travel with the program."""
    named = re.findall(r'"\$data/([^"]+)"', text("README.md"))
    assert len(named) >= 5
    assert [name for name in named if not (TOP / name).is_file()] == []


def test_no_page_is_left_out() -> None:
    """Every page of the checkout is among those that are looked at here."""
    pages = [*TOP.glob("*.md"), *TOP.glob("docs/**/*.md")]
    assert {str(page.relative_to(TOP)) for page in pages} == set(PAGES)

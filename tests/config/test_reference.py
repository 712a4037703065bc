"""The documentation against the code: the page of options, and the examples in TOML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailbanned.config import SHIPPED
from mailbanned.config.load import load
from mailbanned.config.reference import page

DOCS = Path(__file__).parents[2] / "docs"


def examples(name: str) -> list[str]:
    """The TOML examples of a page."""
    text = (DOCS / name).read_text(encoding="utf-8")
    return re.findall(r"```toml\n(.*?)```", text, re.DOTALL)


def test_the_page_of_options_is_what_the_code_writes() -> None:
    """docs/configuration.md is up to date; if not: python -m mailbanned.config.reference > FILE."""
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == page()


def test_every_option_is_explained() -> None:
    """Every row of the page has a form and a meaning."""
    rows = [line.strip("| ").split(" | ") for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    assert [row[0] for row in rows if not row[1].strip() or row[-1] in ("", "None")] == []


@pytest.mark.parametrize(
    ("name", "shown"), [("adding.md", "cyrus-imap"), ("moving-from-fail2ban.md", "my-sasl")]
)
def test_the_examples_work(name: str, shown: str, tmp_path: Path) -> None:
    """The filter of a page, with its samples, and the jails of that page pass the check."""
    (tmp_path / "filters").mkdir()
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "mailbanned.toml").write_text((SHIPPED / "mailbanned.toml").read_text())
    jail = f'[jails.own]\nsource = "postfix"\nfilter = "{shown}"\n'
    for number, example in enumerate([*examples(name), jail]):
        own = tmp_path / "filters" / f"{shown}.toml"
        addition = tmp_path / "conf.d" / f"{number}.toml"
        (own if "[[patterns]]" in example else addition).write_text(example)
    config = load(tmp_path / "mailbanned.toml")
    assert len(config.filters[shown].samples) >= 2

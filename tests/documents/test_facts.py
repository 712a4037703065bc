"""Tables and lists in the documents are those of the program and of what ships with it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from mailbanned.clock import format_duration
from mailbanned.config import SHIPPED, Config
from mailbanned.config.load import load
from mailbanned.config.options import AccountsTable, File
from tests.documents.pages import blocks, flowing, table, words
from tests.e2e.fuzz.targets import TARGETS
from tests.e2e.host.boot import ADDRESSES4, PROGRAMS
from tests.e2e.host.mailhost import PASSWORD, USERS
from tests.running import Running, write_config
from tests.test_layers import contracts


@pytest.fixture(scope="module")
def shipped() -> Config:
    return load(SHIPPED / "mailbanned.toml")


def test_the_jails_of_the_readme(shipped: Config) -> None:
    """README.md has the jails of the shipped file, in their order, and all count in an hour."""
    rows = [(row[0].strip("`"), int(row[2]), row[3]) for row in table("README.md", "jail")]

    def bantime(seconds: float | None) -> str:
        return "24 h" if seconds == 86400 else format_duration(seconds).replace("d", " d")

    assert rows == [(one.name, one.maxretry, bantime(one.bantime)) for one in shipped.jails]
    assert {one.findtime for one in shipped.jails} == {3600.0}
    listed = flowing("docs/moving-from-fail2ban.md").partition("shipped configuration: ")[2]
    assert re.findall(r"`([\w-]+)`", listed.partition(". ")[0]) == [row[0] for row in rows]


def test_the_jails_with_outages(shipped: Config) -> None:
    """docs/operations.md names those that an outage suspends."""
    named = re.search(r"says `outage = true` \(([^)]*)\)", flowing("docs/operations.md"))
    assert named is not None
    jails = [one.name for one in shipped.jails if one.outage]
    assert re.findall(r"`([\w-]+)`", named[1]) == jails


def test_there_are_as_many_samples_as_is_said(shipped: Config) -> None:
    """CHANGELOG.md says more than how many."""
    (said,) = re.findall(r"more than (\d+) samples", flowing("CHANGELOG.md"))
    assert sum(len(one.samples) for one in shipped.filters.values()) > int(said)


def test_the_libraries() -> None:
    """docs/architecture.md has each library with the module or package that may import it."""
    named = {
        name.strip("`").replace("-", "_"): row[2].strip("`").removesuffix(".py").strip("/")
        for row in table("docs/architecture.md", "library")
        for name in row[0].split(", ")
    }
    named["re2"] = named.pop("google_re2")
    allowed = {
        library: importer.removeprefix("mailbanned.").removesuffix(".**").replace(".", "/")
        for contract in contracts("protected")
        for library in contract["protected_modules"]
        for importer in contract["allowed_importers"]
    }
    assert named.keys() == allowed.keys()
    assert {name for name in named if not allowed[name].startswith(named[name])} == set()


def test_the_layers() -> None:
    """docs/architecture.md has the layers that import-linter holds the packages to."""
    rows = [re.findall(r"`(\w+)`", row[1]) for row in table("docs/architecture.md", "layer")]
    [contract] = contracts("layers")
    assert rows == [layer.split(" | ") for layer in reversed(contract["layers"])]


def test_the_mail_host_and_the_fuzzer() -> None:
    """docs/testing.md names the programs, accounts and targets that there are."""
    page = flowing("docs/testing.md")
    named = page.partition("the programs ")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", named)) == set(PROGRAMS)
    assert f"`{USERS[0]}` to `{USERS[-1].partition('@')[0]}@...` (password `{PASSWORD}`)" in page
    assert abs(len(ADDRESSES4) - 200) < 50
    assert [row[0].strip("`") for row in table("docs/testing.md", "target")] == list(TARGETS)


def test_options_that_are_named() -> None:
    """What stands like `[table] option` in a document is an option of that table."""
    tables = {name: (get_args(hint) or (hint,))[-1] for name, hint in get_type_hints(File).items()}
    named = [(one, re.match(r"\[(\w+)(?:\.NAME)?\] ([a-z]\w*)", one.text)) for one in words()]
    found = {one: match.groups() for one, match in named if match is not None}
    assert len(found) >= 8
    for one, (name, option) in found.items():
        assert option in [field.name for field in fields(tables[name])], one


def test_the_query_for_accounts() -> None:
    """docs/operations.md and the shipped file show the query that is used without one."""
    query = AccountsTable(backend="mysql").effective_query()
    assert f"{query}\n" in "".join(one.text for one in blocks("docs/operations.md", language="sql"))
    assert query in (SHIPPED / "mailbanned.toml").read_text()


def _keys(document: Any) -> set[str]:
    """Every key of a document, and with those it stands in: `sources[].name`."""
    if isinstance(document, list):
        return {f"[].{key}" for one in document for key in _keys(one)}
    if not isinstance(document, dict):
        return set()
    inner = {key: _keys(value) for key, value in document.items()}
    deep = {
        name + (rest if rest[0] == "[" else f".{rest}")
        for name, every in inner.items()
        for rest in every
    }
    return {*document, *deep}


def test_the_parts_of_the_status(tmp_path: Path) -> None:
    """Every part of the status that docs/operations.md names is in it."""
    write_config(tmp_path)
    (tmp_path / "postfix.log").touch()
    with Running(tmp_path) as daemon:
        daemon.following()
        known = _keys(daemon.status())
    named = {
        one.text
        for one in words("docs/operations.md")
        if re.fullmatch(r"(accounts|sources\[\]|jails\[\])\.\w+|\w+_(total|bytes|s)", one.text)
    }
    assert len(named) >= 6
    last = {key.rpartition(".")[2] for key in known}
    assert {one for one in named if one not in known and one not in last} == set()


@pytest.mark.parametrize("page", sorted({one.page for one in blocks(language="toml")}))
def test_configurations_are_good(page: str, tmp_path: Path) -> None:
    """Each piece of configuration in a page is good beside the shipped one.

    (Filters are tested with their samples in tests/config; a piece without a table goes on the one
    before it.)
    """
    before = ""
    for number, one in enumerate(blocks(page, language="toml")):
        if "[[patterns]]" in one.text or 'filter = "cyrus' in one.text:
            continue
        before = one.text if re.search(r"^\[", one.text, re.MULTILINE) else before + one.text
        folder = tmp_path / str(number)
        (folder / "conf.d").mkdir(parents=True)
        (folder / "mailbanned.toml").write_text((SHIPPED / "mailbanned.toml").read_text())
        (folder / "conf.d" / "here.toml").write_text(before)
        load(folder / "mailbanned.toml")  # raises what is wrong

"""The configuration that comes with the program has no errors, and eight jails."""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from mailbanned.config import SHIPPED, Config
from mailbanned.config.load import load
from mailbanned.jails import JailSettings

HOUR, DAY = 3600.0, 86400.0

# name: source, filter, maxretry, bantime, only accounts that do not exist
JAILS = {
    "postfix": ("postfix", "postfix", 3, DAY, False),
    "postfix-sasl": ("postfix", "postfix-sasl", 3, DAY, False),
    "postfix-sasl-unknown": ("postfix", "postfix-sasl", 1, 7 * DAY, True),
    "postfix-rcpt-unknown": ("postfix", "postfix-rcpt-unknown", 3, 7 * DAY, False),
    "dovecot": ("dovecot", "dovecot", 3, DAY, False),
    "dovecot-unknown": ("dovecot", "dovecot-unknown", 1, 7 * DAY, False),
    "sshd": ("sshd", "sshd", 3, DAY, False),
    "sshd-unknown": ("sshd", "sshd-unknown", 1, 7 * DAY, False),
}
FILTERS = {jail[1] for jail in JAILS.values()}


@pytest.fixture(scope="module")
def shipped() -> Config:
    return load(SHIPPED / "mailbanned.toml")


def test_it_is_good(shipped: Config) -> None:
    """The shipped file loads, and with it every filter that its jails name, samples included."""
    assert shipped.path == SHIPPED / "mailbanned.toml"
    assert set(shipped.filters) == FILTERS
    assert shipped.disabled == ()


def test_the_eight_jails(shipped: Config) -> None:
    """There are these eight jails, each with its source, filter, maxretry and bantime, and 1 h."""
    assert {jail.name: jail for jail in shipped.jails} == {
        name: JailSettings(
            name=name,
            source=source,
            filter=filter_,
            maxretry=maxretry,
            findtime=HOUR,
            bantime=bantime,
            unknown_accounts=unknown,
            outage=filter_ in ("postfix-sasl", "dovecot", "dovecot-unknown"),
        )
        for name, (source, filter_, maxretry, bantime, unknown) in JAILS.items()
    }
    assert [str(network) for network in shipped.file.defaults.ignore] == ["127.0.0.0/8", "::1/128"]


def test_the_strict_jail_needs_accounts(shipped: Config) -> None:
    """Without an account database, a warning names the jail that cannot ban."""
    assert shipped.warnings == (
        "[accounts] backend is none, so postfix-sasl-unknown cannot recognise unknown accounts and "
        "will ban no address",
    )


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_each_filter_proves_itself(name: str) -> None:
    """Each shipped filter has a description, and lines that it must and must not match."""
    tables = tomllib.loads((SHIPPED / "filters" / f"{name}.toml").read_text())
    assert tables["description"]
    assert tables["hits"]
    assert tables["misses"]


def test_no_filter_is_left_over() -> None:
    """Every shipped filter file belongs to a jail of the shipped configuration."""
    assert {path.stem for path in (SHIPPED / "filters").iterdir()} == FILTERS


def uncommented(text: str) -> str:
    """The text with every commented option in force."""
    return re.sub(r"(?m)^# (?=\w+ *= )", "", text)


def test_commented_options_are_the_defaults(tmp_path: Path, shipped: Config) -> None:
    """Taking the comment sign from every option changes nothing: what they show are defaults."""
    (tmp_path / "main.toml").write_text(uncommented((SHIPPED / "mailbanned.toml").read_text()))
    loaded = asdict(load(tmp_path / "main.toml").file)
    expected: dict[str, Any] = asdict(shipped.file)
    assert loaded["accounts"].pop("query") == shipped.file.accounts.effective_query()
    assert expected["accounts"].pop("query") == ""
    loaded["sources"]["postfix"].pop("timezone")
    expected["sources"]["postfix"].pop("timezone")
    assert loaded == expected

"""Figures in the documents are those of the program: how long, how many, how often."""

from __future__ import annotations

import re
from inspect import signature
from typing import Any

import pytest

from mailbanned import model
from mailbanned.accounts import CachedAccounts, mysql
from mailbanned.daemon import daemon, ineffective_bans, scheduler, writer
from mailbanned.firewall import Enforcer, Nftables, interim, nftscript
from mailbanned.jails import dedup
from mailbanned.sources import Watcher, health
from mailbanned.sources.journal import wakeup
from mailbanned.store import sqlite
from tests.documents.pages import TOP, flowing

_WORDS = {1: "one", 2: "two", 5: "five", 10: "ten", 20: "twenty", 50: "fifty"}
_UNIT = (TOP / "systemd/mailbanned.service").read_text()


def _default(of: Any, name: str) -> float:
    value = signature(of).parameters[name].default
    assert isinstance(value, int | float)
    return value


def _number(value: float) -> str:
    """A small number in words, if there are such."""
    return _WORDS.get(int(value), f"{value:g}")


def _unit(key: str) -> float:
    (value,) = re.findall(rf"^{key}=(\d+)$", _UNIT, re.MULTILINE)
    return float(value)


_CACHE = CachedAccounts.__init__
_KNOWN, _UNKNOWN = _default(_CACHE, "known_for") / 60, _default(_CACHE, "unknown_for")
_SLACK = _default(Nftables.__init__, "slack") / 60
_SETTLED = _number(daemon._SETTLED_WITHIN_S)


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("operations", f"systemd starts it again after {_number(_unit('RestartSec'))} seconds"),
        ("operations", f"systemd restarts it after {_unit('WatchdogSec'):g} seconds"),
        ("operations", f"in force, or after {_SETTLED} seconds"),
        ("operations", f"back within {_default(Enforcer.__init__, 'audit'):g} seconds"),
        (
            "operations",
            f'"exists" for {_number(_KNOWN)} minutes, "does not exist" for {_UNKNOWN:g}',
        ),
        ("operations", f"kernel ends them {_number(_SLACK)} minutes after their time"),
        ("operations", f"bans end {_number(_SLACK)} minutes after their time"),
        ("operations", f"more than {_number(ineffective_bans.GRACE_S)} seconds after its ban"),
        ("operations", f"grows for {_number(health.BAD_FORMAT_S / 60)} minutes"),
        ("operations", f"`prerouting` with priority {nftscript._PRIORITY},"),
        ("operations", f"in the last {_number(dedup._CONNECTION_S / 60)} minutes"),
        ("operations", f"history ({sqlite._HISTORY_ROWS:,} bans at most)"),
        ("moving-from-fail2ban", f"history, {sqlite._HISTORY_ROWS:,} bans at most"),
        ("adding", f"(at most {model.MAX_ATTEMPTS} are believed)"),
        ("architecture", f"has room for {_number(scheduler._MAX_BLOCKS)} blocks"),
        ("architecture", f"gets {_number(scheduler._TURN_S * 1000)} milliseconds at a time"),
        ("architecture", f"looked at {_number(1 / wakeup.POLL_S)} times a second"),
        ("architecture", f"{_number(1000 / _default(Watcher.__init__, 'step_ms'))} times a second"),
        ("architecture", f"has waited {mysql._PATIENCE_S * 1000:g} ms"),
    ],
)
def test_figures(page: str, sentence: str) -> None:
    """What is a constant of the program is the same in the text."""
    assert sentence in flowing(f"docs/{page}.md")


def test_figures_that_are_words() -> None:
    """Where the text has no number: a ban is saved in a tenth of a second, an interim one lasts a
    minute."""
    page = flowing("docs/operations.md")
    assert "saved within a tenth of a second, everything else every second" in page
    assert (writer._TOGETHER_S, writer._PAUSE_S) == (0.1, 1.0)
    assert "ends by itself a minute later" in page
    assert "(ten seconds more for every hundred that wait)" in page
    assert (interim._LIFETIME_S, 100 * interim._PER_WAITING_BAN_S) == (60.0, 10.0)

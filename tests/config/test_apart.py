"""A configuration that was read in a process of its own is the same, without its library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailbanned.config import SHIPPED, ConfigError
from mailbanned.config.isolated import load_apart
from mailbanned.config.load import load
from mailbanned.filters import Stamps, split
from tests.config.support import SMALL, Folder


async def test_it_is_the_same_configuration() -> None:
    """Every option, rule and hint arrives, and filters still match their samples."""
    here, there = load(SHIPPED / "mailbanned.toml"), await load_apart(SHIPPED / "mailbanned.toml")
    assert there.rules == here.rules
    assert there.hints == here.hints
    assert there.file.firewall.verdict == "drop"
    assert there.file.sources["sshd"].journal == ["sshd.service"]
    assert there.file.defaults.ignore == here.file.defaults.ignore
    for name, one in here.filters.items():
        for sample in one.samples:
            line = split(sample.line, 1, Stamps(), 1_777_600_000.0)
            assert there.filters[name].match(line) == one.match(line)


async def test_equal_tables_are_equal_and_others_are_not(folder: Folder) -> None:
    """A reload tells by comparing what has changed."""
    folder.write("main.toml", SMALL)
    first = await load_apart(folder.main)
    again = await load_apart(folder.main)
    folder.write("main.toml", SMALL + "[firewall]\nverdict = 'reject'\n[filters]")
    with pytest.raises(ConfigError):
        await load_apart(folder.main)
    folder.write("main.toml", SMALL + "[firewall]\nverdict = 'reject'\n")
    changed = await load_apart(folder.main)
    assert first.file == again.file
    assert first.file.firewall != changed.file.firewall
    assert first.file.sources == changed.file.sources


async def test_problems_are_the_same(folder: Folder) -> None:
    """What is wrong arrives with file, key and remedy."""
    folder.write("main.toml", SMALL + "[jails.x]\nmaxretry = 0\n")
    with pytest.raises(ConfigError) as here:
        load(folder.main)
    with pytest.raises(ConfigError) as there:
        await load_apart(folder.main)
    assert there.value.problems == here.value.problems


async def test_without_another_process_it_is_read_here(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no process can be started, the configuration is read all the same."""
    folder.write("main.toml", SMALL)
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    assert (await load_apart(folder.main)).rules == load(folder.main).rules


def test_the_daemon_does_not_carry_the_library(tmp_path: Path) -> None:
    """Importing the daemon brings no pydantic."""
    code = (
        "import mailbanned.daemon, mailbanned.config.isolated, sys; "
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout == "False\n"

"""A configuration loaded in a child process is the same, and its parent needs no pydantic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailbanned.config import SHIPPED, ConfigError
from mailbanned.config.isolated import load_isolated
from mailbanned.config.load import load
from mailbanned.config.options import File, SourceTable
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Line
from tests.config.support import SMALL, Folder


async def test_it_is_the_same_configuration() -> None:
    """Every table and jail arrives as the type it is declared as; filters still match samples."""
    here = load(SHIPPED / "mailbanned.toml")
    there = await load_isolated(SHIPPED / "mailbanned.toml")
    assert type(there.file) is File
    assert {type(source) for source in there.file.sources.values()} == {SourceTable}
    assert there.file == here.file
    assert there.jails == here.jails
    assert there.warnings == here.warnings
    for name, original in here.filters.items():
        for sample in original.samples:
            line = Line(*LineParser().parse(sample.line, 1, 1_777_600_000.0))
            assert there.filters[name].match(line) == original.match(line)


async def test_equal_tables_are_equal_and_others_are_not(folder: Folder) -> None:
    """A reload compares tables to find what has changed."""
    folder.write("main.toml", SMALL)
    first = await load_isolated(folder.main)
    again = await load_isolated(folder.main)
    folder.write("main.toml", SMALL + "[firewall]\nverdict = 'reject'\n[filters]")
    with pytest.raises(ConfigError):
        await load_isolated(folder.main)
    folder.write("main.toml", SMALL + "[firewall]\nverdict = 'reject'\n")
    changed = await load_isolated(folder.main)
    assert first.file == again.file
    assert first.file.firewall != changed.file.firewall
    assert first.file.sources == changed.file.sources


async def test_problems_are_the_same(folder: Folder) -> None:
    """The problems arrive with file, key and remedy."""
    folder.write("main.toml", SMALL + "[jails.x]\nmaxretry = 0\n")
    with pytest.raises(ConfigError) as here:
        load(folder.main)
    with pytest.raises(ConfigError) as there:
        await load_isolated(folder.main)
    assert there.value.problems == here.value.problems


async def test_without_a_child_it_loads_here(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no process can be started, the configuration is loaded in this one."""
    folder.write("main.toml", SMALL)
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    assert (await load_isolated(folder.main)).jails == load(folder.main).jails


def test_the_daemon_does_not_import_pydantic(tmp_path: Path) -> None:
    """Neither importing the daemon nor its configuration brings pydantic."""
    code = (
        "import asyncio, mailbanned.daemon, sys; "
        "from mailbanned.config import SHIPPED; "
        "from mailbanned.config.isolated import load_isolated; "
        "asyncio.run(load_isolated(SHIPPED / 'mailbanned.toml')); "
        "print([name for name in sys.modules if name.startswith('pydantic')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout == "[]\n"


async def test_a_child_that_fails(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A child that ends without an answer is an error; what it wrote goes to stderr."""
    folder.write("main.toml", SMALL)
    python = folder.write("python", "#!/bin/sh\necho broken >&2; exit 3\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ConfigError, match=r"file: the process that reads it ended with 3; look"):
        await load_isolated(folder.main)
    assert capsys.readouterr().err == "broken\n"

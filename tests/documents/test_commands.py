"""Every command in the documents is one: `mailbanned` parses it, and `./dev` knows it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from contextlib import suppress
from functools import cache

import click
import pytest

from mailbanned.cli.main import COMMANDS, cli
from tests.documents.pages import TOP, Piece, blocks, created, table, text, words
from tests.documents.test_messages import is_said

_IN_A_LINE = re.compile(r"(?:^|[|(`] *|sudo |xargs -r |^# )(mailbanned -{0,2}[^ :][^|`]*)")
# What `./dev` calls, where its options can be asked for.
_MODULES = {
    "run": "tests.demo",
    "simulate": "tests.simulation",
    "soak": "tests.e2e.soak",
    "fuzz": "tests.e2e.fuzz",
}
# The command that docs/adding.md adds.
_ADDED = "mailbanned banned"


def _mailbanned() -> list[Piece]:
    """The commands, once as people type them, and once as text mentions them."""
    shown = [
        Piece(one.page, one.line, found[1].split(" < ")[0] + " ADDRESS" * ("xargs" in line))
        for one in blocks()
        if one.language in ("", "sh")
        for line in one.text.splitlines()
        if (found := _IN_A_LINE.search(line)) and not line.startswith("mailbanned  ")
    ]
    mentioned = [one for one in words() if re.match(r"mailbanned \S", one.text)]
    return [one for one in (*shown, *mentioned) if one.text.strip() != _ADDED]


def parse(command: str) -> None:
    """Parses a command as the program does. Raises click.UsageError."""
    name, *arguments = shlex.split(command, comments=True)[1:]
    if name.startswith("-"):
        cli.make_context("mailbanned", [name, *arguments, "status"])
        return
    verb = cli.get_command(click.Context(cli), name)
    if verb is None:
        raise click.UsageError(f"there is no verb {name!r}")
    if arguments:  # a verb alone is a mention of it
        verb.make_context(name, arguments)


@pytest.mark.parametrize("command", _mailbanned(), ids=str)
def test_commands_are_understood(command: Piece) -> None:
    """The verb is there, and so are its options; what is no command is a message."""
    if is_said(command.text):
        return
    with suppress(click.exceptions.Exit):  # --version
        parse(command.text)


def test_commands_were_found() -> None:
    """The search for commands finds those that are surely in the documents."""
    found = {one.text.strip() for one in _mailbanned()}
    assert {"mailbanned unban --all", "mailbanned test --jail postfix-sasl --explain -"} <= found
    with pytest.raises(click.UsageError):
        parse("mailbanned test --explian x")


def test_the_options_of_test_are_all_explained() -> None:
    """docs/operations.md has a table of them; --explain stands below it."""
    cells = " ".join(row[0] for row in table("docs/operations.md", "option"))
    command = cli.get_command(click.Context(cli), "test")
    assert command is not None
    options = {name for one in command.params for name in one.opts if name.startswith("--")}
    assert set(re.findall(r"--[a-z-]+", cells)) == options - {"--explain"}


def test_the_changelog_lists_the_verbs() -> None:
    """CHANGELOG.md names every verb, in the order of --help."""
    (line,) = [line for line in text("CHANGELOG.md").splitlines() if "`mailbanned run`" in line]
    assert re.findall(r"`(?:mailbanned )?([a-z]+)`", line) == list(COMMANDS)


@cache
def _help(*argv: str) -> str:
    result = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, check=True, timeout=60)
    return result.stdout


def _dev() -> list[Piece]:
    lines = [Piece(one.page, one.line, line) for one in blocks() for line in one.text.splitlines()]
    found = (re.match(r" *(\./dev [a-z].*)", one.text) for one in (*lines, *words()))
    return [
        Piece(one.page, one.line, match[1].partition("#")[0])
        for one, match in zip((*lines, *words()), found, strict=True)
        if match
    ]


@pytest.mark.parametrize("command", _dev(), ids=str)
def test_dev_knows_its_verbs(command: Piece) -> None:
    """The verb is in `./dev help`; an option is one of its program, a path is there."""
    verb, *arguments = command.text.replace("[", "").replace("]", "").split()[1:]
    assert re.search(rf"^  {verb} ", _help("./dev", "help"), re.MULTILINE)
    if verb in _MODULES:
        module = _MODULES[verb]
        known = _help(sys.executable, "-m", module, "--help")
        options = {one for one in arguments if one.startswith("--")}
        assert options <= set(re.findall(r"--[a-z-]+", known))
    paths = {one for one in arguments if one.startswith("tests/")} - created(
        "docs/adding.md"
    ).keys()
    assert [one for one in paths if not (TOP / one).exists()] == []

"""What the commands share: options, exit codes, talking to the daemon, printing."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailbanned.escape import escape_control

if TYPE_CHECKING:
    from mailbanned.config import Config, ConfigError

FAILED = 1
UNREACHABLE = 69
NOT_PERMITTED = 77
BAD_CONFIG = 78

Function = TypeVar("Function", bound=Callable[..., Any])


class CliError(Exception):
    """Ends a command: a sentence for stderr and an exit code."""

    def __init__(self, sentence: str, code: int = FAILED) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Options:
    """The global options. named: the configuration was named by an option or the environment."""

    config: Path
    named: bool

    def file(self) -> Path:
        """The configuration to read: the named one, else the host's, else the shipped one."""
        if self.named or os.path.lexists(self.config):
            return self.config
        from mailbanned.config import SHIPPED

        return SHIPPED / "mailbanned.toml"


def json_option(function: Function) -> Function:
    """Adds the --json flag, which every command that prints data has."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(
        function
    )


def load(path: Path) -> Config:
    """Loads the configuration. Raises CliError with everything that is wrong with it."""
    from mailbanned.config import ConfigError
    from mailbanned.config.load import load as read

    try:
        return read(path)
    except ConfigError as error:
        raise config_error(error) from None


def config_error(error: ConfigError) -> CliError:
    """An error that lists all problems of a configuration; excerpts follow indented."""
    lines = []
    for problem in error.problems:
        lines.append(f"  {escape_control(str(problem))}")
        lines += [f"      {escape_control(line)}" for line in problem.shown.split("\n") if line]
    count = len(error.problems)
    text = f"the configuration has {count} error{'s' if count > 1 else ''}:\n" + "\n".join(lines)
    return CliError(text, BAD_CONFIG)


def socket_path(path: Path) -> Path:
    """The socket of the daemon with this configuration, even if the file has errors by now."""
    from mailbanned.control import DEFAULT_SOCKET

    socket = DEFAULT_SOCKET
    for file in [path, *sorted((path.parent / "conf.d").glob("*.toml"))]:
        try:
            control = tomllib.loads(file.read_text(encoding="utf-8")).get("control", {})
            socket = Path(control.get("socket", socket))
        except (OSError, ValueError, AttributeError, TypeError):
            continue
    return socket


def ask(options: Options, command: str, arguments: dict[str, Any] | None = None) -> Any:
    """Asks the daemon, and returns its answer. Raises CliError with the right exit code."""
    from mailbanned import control

    try:
        return control.ask(socket_path(options.file()), command, arguments)
    except control.Unreachable as error:
        raise CliError(str(error), UNREACHABLE) from None
    except control.Denied as error:
        raise CliError(str(error), NOT_PERMITTED) from None
    except control.ControlError as error:
        raise CliError(str(error)) from None


def print_json(document: Any) -> None:
    """Prints a document on stdout: indented on a terminal, in one line elsewhere."""
    click.echo(json_text(document, indent=2 if sys.stdout.isatty() else None))


def json_text(document: Any, indent: int | None = None) -> str:
    """A document as JSON, with control characters escaped, since they could steer a terminal."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def print_text(text: str) -> None:
    """Prints text on stdout; with colours only on a terminal, unless $NO_COLOR is set."""
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def format_time(at: str) -> str:
    """A time of a document, "2026-05-01T06:43:08", in this host's zone and without a fraction."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%dT%H:%M:%S")


def format_until(until: str | None) -> str:
    """The end of a ban: "until ..." or "for ever"."""
    return f"until {format_time(until)}" if until else "for ever"


def count(number: int, noun: str) -> str:
    """A number of things: "1 failure", "1,234 failures"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def parse_time(text: str, option: str, now: float) -> float:
    """The time (epoch) that a user typed: an ISO date or time (in this host's zone unless it names
    one), or a duration before now, such as "2d". Raises click.UsageError.
    """
    from mailbanned.configtypes import parse_duration

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        if not text.strip().isdecimal():  # 2026 is a year to people, not a number of seconds
            return now - parse_duration(text)
    except ValueError:
        pass
    sentence = "is not a time; write 2026-05-01, 2026-05-01T06:43 or, for two days ago, 2d"
    raise click.UsageError(f"{option}: {text!r} {sentence}")

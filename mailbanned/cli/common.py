"""What the verbs share: options, exit codes, talking to the daemon, printing."""

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

if TYPE_CHECKING:
    from mailbanned.config import Config, ConfigError

FAILED = 1
UNREACHABLE = 69
NOT_PERMITTED = 77
BAD_CONFIG = 78

Function = TypeVar("Function", bound=Callable[..., Any])


class Fault(Exception):
    """Ends a verb: a sentence for stderr and an exit code."""

    def __init__(self, sentence: str, code: int = FAILED) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Options:
    """The global options. named: somebody said which configuration is meant."""

    config: Path
    named: bool

    def file(self) -> Path:
        """The configuration to read: the named one, the host's, else the one that is shipped."""
        if self.named or os.path.lexists(self.config):
            return self.config
        from mailbanned.config import SHIPPED

        return SHIPPED / "mailbanned.toml"


def json_option(function: Function) -> Function:
    """The --json flag that every printing verb has."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document.")(function)


def load(path: Path) -> Config:
    """The configuration, or a Fault with everything that is wrong with it."""
    from mailbanned.config import ConfigError
    from mailbanned.config.load import load as read

    try:
        return read(path)
    except ConfigError as error:
        raise config_fault(error) from None


def config_fault(error: ConfigError) -> Fault:
    """All problems of a configuration, one a line; what shows the place stands below, indented."""
    lines = []
    for problem in error.problems:
        lines.append(f"  {shown(str(problem))}")
        lines += [f"      {shown(line)}" for line in problem.shown.split("\n") if line]
    count = len(error.problems)
    text = f"the configuration has {count} error{'s' if count > 1 else ''}:\n" + "\n".join(lines)
    return Fault(text, BAD_CONFIG)


def socket_of(path: Path) -> Path:
    """Where the daemon with this configuration listens, even if the file has errors by now."""
    from mailbanned.control import DEFAULT_SOCKET

    found = DEFAULT_SOCKET
    for one in [path, *sorted((path.parent / "conf.d").glob("*.toml"))]:
        try:
            control = tomllib.loads(one.read_text(encoding="utf-8")).get("control", {})
            found = Path(control.get("socket", found))
        except (OSError, ValueError, AttributeError, TypeError):
            continue
    return found


def ask(options: Options, command: str, arguments: dict[str, Any] | None = None) -> Any:
    """The daemon's answer, or a Fault with the right exit code."""
    from mailbanned import control

    try:
        return control.ask(socket_of(options.file()), command, arguments)
    except control.Unreachable as error:
        raise Fault(str(error), UNREACHABLE) from None
    except control.Denied as error:
        raise Fault(str(error), NOT_PERMITTED) from None
    except control.ControlError as error:
        raise Fault(str(error)) from None


def print_json(document: Any) -> None:
    """A document on stdout: indented for people, in one line for programs."""
    click.echo(json_text(document, indent=2 if sys.stdout.isatty() else None))


def json_text(document: Any, indent: int | None = None) -> str:
    """A document as JSON. What does not print is escaped: some of it would steer a terminal."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def print_text(text: str) -> None:
    """Text for people on stdout; colours only on a terminal, unless $NO_COLOR is set."""
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def shown(text: str) -> str:
    """Text from outside as a terminal may see it: with what does not print escaped."""
    if text.isprintable():
        return text
    from mailbanned.log import escape_control

    return escape_control(text)


def span(seconds: float | None) -> str:
    """A duration as the configuration writes it: "7d", "1d12h", "90s"; None is permanent."""
    if seconds is None:
        return "permanent"
    left, parts = round(seconds), []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(parts[:2]) or "0s"


def moment(text: str, option: str, now: float) -> float:
    """A point in time (epoch) as people type it: an ISO date or time (this host's zone unless it
    names one), or a duration like "2d": so long ago.
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
    sentence = "is no time; write 2026-05-01, 2026-05-01T06:43 or, for two days ago, 2d"
    raise click.UsageError(f"{option}: {text!r} {sentence}")

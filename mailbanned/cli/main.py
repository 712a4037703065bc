"""`mailbanned`: the global options and the registry of commands.

The module of a command is imported only when the command is used, so that `status` does not load
what only the daemon needs.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from pathlib import Path

import click

import mailbanned
from mailbanned.cli.common import CliError, Options

DEFAULT_CONFIG = Path("/etc/mailbanned/mailbanned.toml")

#: command -> the module that has a click command of that name.
COMMANDS = {
    "run": "mailbanned.cli.run",
    "status": "mailbanned.cli.status",
    "why": "mailbanned.cli.why",
    "ban": "mailbanned.cli.ban",
    "unban": "mailbanned.cli.unban",
    "reload": "mailbanned.cli.reload",
    "check": "mailbanned.cli.check",
    "test": "mailbanned.cli.test",
}


class Commands(click.Group):
    """Finds commands in the registry."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="MAILBANNED_CONFIG",
    help=f"Read this configuration file.  [default: {DEFAULT_CONFIG}; env: MAILBANNED_CONFIG]",
)
@click.version_option(mailbanned.__version__, prog_name="mailbanned")
@click.pass_context
def cli(ctx: click.Context, path: Path | None) -> None:
    """Ban the attackers of a mail host through firewalld, within hundredths of a second."""
    ctx.obj = Options((path or DEFAULT_CONFIG).absolute(), named=path is not None)


def main() -> None:
    """The entry point: runs a command; an error becomes one sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names may hold letters that the encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    try:
        status = cli.main(standalone_mode=False)
    except CliError as error:
        click.echo(f"mailbanned: {error}", err=True)
        sys.exit(error.code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        about = getattr(error, "ctx", None)
        hint = f" (see {about.command_path} --help)" if about else ""
        click.echo(f"mailbanned: {error.format_message().rstrip('.')}{hint}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has seen enough (`mailbanned status | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    # Without standalone mode click returns what a command gave to ctx.exit.
    sys.exit(status if isinstance(status, int) else 0)

"""`mailbanned`: the global options and the registry of verbs.

A verb's module is imported only when the verb is used, so that `status` does not wait for what
only the daemon needs.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from pathlib import Path

import click

import mailbanned
from mailbanned.cli.common import Fault, Options

DEFAULT_CONFIG = Path("/etc/mailbanned/mailbanned.toml")

#: verb -> the module that has a click command of that name.
VERBS = {
    "run": "mailbanned.cli.run",
    "status": "mailbanned.cli.status",
    "why": "mailbanned.cli.why",
    "ban": "mailbanned.cli.ban",
    "unban": "mailbanned.cli.unban",
    "reload": "mailbanned.cli.reload",
    "check": "mailbanned.cli.check",
    "test": "mailbanned.cli.test",
}


class Verbs(click.Group):
    """Finds verbs in the registry."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = getattr(importlib.import_module(VERBS[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="MAILBANNED_CONFIG",
    help=f"The configuration file.  [default: {DEFAULT_CONFIG}; env: MAILBANNED_CONFIG]",
)
@click.version_option(mailbanned.__version__, prog_name="mailbanned")
@click.pass_context
def cli(ctx: click.Context, path: Path | None) -> None:
    """Bans the attackers of a mail host through firewalld, within hundredths of a second."""
    ctx.obj = Options((path or DEFAULT_CONFIG).absolute(), named=path is not None)


def main() -> None:
    """The entry point: runs a verb and turns faults into one sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names in letters that it cannot say
    try:
        status = cli.main(standalone_mode=False)
    except Fault as fault:
        click.echo(f"mailbanned: {fault}", err=True)
        sys.exit(fault.code)
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
        # Whoever read our output has seen enough (`mailbanned status | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    # Without its standalone mode click hands on what a verb gave to ctx.exit.
    sys.exit(status if isinstance(status, int) else 0)

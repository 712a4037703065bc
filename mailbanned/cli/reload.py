"""`mailbanned reload`: makes the running daemon load its configuration, and reports how it went."""

from __future__ import annotations

import click

from mailbanned.cli.common import BAD_CONFIG, CliError, Options, ask, json_option, print_json


@click.command()
@json_option
@click.pass_obj
def reload(options: Options, as_json: bool) -> None:
    """Reload the configuration; bans and counts stay."""
    result = ask(options, "reload")
    if as_json:
        print_json(result)
    elif result["ok"]:
        click.echo("the new configuration is in use")
    if not result["ok"]:
        lines = "\n  ".join(result["errors"])
        raise CliError(f"refused; the old configuration stays in use:\n  {lines}", BAD_CONFIG)

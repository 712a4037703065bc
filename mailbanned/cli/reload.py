"""`mailbanned reload`: new configuration for the running daemon, with an answer."""

from __future__ import annotations

import click

from mailbanned.cli.common import BAD_CONFIG, Fault, Options, ask, json_option, print_json


@click.command()
@json_option
@click.pass_obj
def reload(options: Options, as_json: bool) -> None:
    """Load the configuration anew; bans and counts stay."""
    result = ask(options, "reload")
    if as_json:
        print_json(result)
    elif result["ok"]:
        click.echo("the new configuration is in use")
    if not result["ok"]:
        lines = "\n  ".join(result["errors"])
        raise Fault(f"refused; the old configuration goes on:\n  {lines}", BAD_CONFIG)

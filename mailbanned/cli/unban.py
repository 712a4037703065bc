"""`mailbanned unban ADDRESS...`: lifts bans."""

from __future__ import annotations

import click

from mailbanned.cli.common import Options, ask, json_option, print_json


@click.command()
@click.argument("addresses", nargs=-1, metavar="ADDRESS...")
@click.option("--jail", help="Only the bans of this jail.")
@click.option("--all", "everybody", is_flag=True, help="Lift every ban.")
@json_option
@click.pass_obj
def unban(
    options: Options, addresses: tuple[str, ...], jail: str | None, everybody: bool, as_json: bool
) -> None:
    """Lift bans and forget what was counted."""
    if bool(addresses) == everybody:
        raise click.UsageError("name addresses, or say --all")
    arguments = {"addresses": addresses, "jail": jail, "all": everybody}
    result = ask(options, "unban", arguments)
    if as_json:
        print_json(result)
        return
    for one in result["unbanned"]:
        click.echo(f"[{one['jail']}] Unban {one['address']}")
    if not result["unbanned"]:
        click.echo("nobody of these was banned; failures counted so far are forgotten")

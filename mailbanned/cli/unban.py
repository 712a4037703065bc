"""`mailbanned unban ADDRESS...`: lifts bans."""

from __future__ import annotations

import click

from mailbanned.cli.common import Options, ask, json_option, print_json


@click.command()
@click.argument("addresses", nargs=-1, metavar="ADDRESS...")
@click.option("--jail", help="Lift only the bans of this jail.")
@click.option("--all", "every", is_flag=True, help="Lift every ban.")
@json_option
@click.pass_obj
def unban(
    options: Options, addresses: tuple[str, ...], jail: str | None, every: bool, as_json: bool
) -> None:
    """Lift bans, and forget the failures counted so far."""
    if bool(addresses) == every:
        raise click.UsageError("name addresses, or give --all")
    arguments = {"addresses": addresses, "jail": jail, "all": every}
    result = ask(options, "unban", arguments)
    if as_json:
        print_json(result)
        return
    for ban in result["unbanned"]:
        click.echo(f"[{ban['jail']}] Unban {ban['address']}")
    if not result["unbanned"]:
        click.echo("none of these addresses is banned; their failures are forgotten")

"""`mailbanned ban ADDRESS...`: bans by hand."""

from __future__ import annotations

from typing import Any

import click

from mailbanned.cli.common import Options, ask, format_until, json_option, print_json


def _parse_bantime(_: click.Context, __: click.Parameter, value: str | None) -> Any:
    from mailbanned.configtypes import parse_bantime

    if value is None:
        return None
    try:
        return (parse_bantime(value),)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}") from None


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--jail", help="Enter the bans in this jail, and use its bantime.")
@click.option(
    "--for",
    "bantime",
    callback=_parse_bantime,
    metavar="7d",
    help="Ban for this long: 90s, 15m, 24h, 7d, 1d12h, permanent.",
)
@click.option("--reason", metavar="TEXT", help="Give a reason, which `status` and `why` show.")
@json_option
@click.pass_obj
def ban(
    options: Options,
    addresses: tuple[str, ...],
    jail: str | None,
    bantime: tuple[Any] | None,
    reason: str | None,
    as_json: bool,
) -> None:
    """Ban addresses or networks now."""
    arguments: dict[str, Any] = {"addresses": addresses, "jail": jail, "reason": reason}
    if bantime is not None:
        arguments["for"] = bantime[0]
    result = ask(options, "ban", arguments)
    if as_json:
        print_json(result)
        return
    for ban in result["banned"]:
        pending = "" if ban["in_force"] else "; not in force yet: it waits for the firewall"
        until = format_until(ban["until"])
        click.echo(f"[{ban['jail']}] Ban {ban['address']} {until}{pending}")

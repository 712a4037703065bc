"""`mailbanned ban ADDRESS...`: bans by hand."""

from __future__ import annotations

from typing import Any

import click

from mailbanned.cli.common import Options, ask, json_option, print_json


def _duration(_: click.Context, __: click.Parameter, value: str | None) -> Any:
    from mailbanned.configtypes import parse_bantime

    if value is None:
        return None
    try:
        return (parse_bantime(value),)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}") from None


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--jail", help="Enter the bans in this jail (and take its bantime).")
@click.option("--for", "bantime", callback=_duration, metavar="7d",
              help="How long: 90s, 15m, 24h, 7d, 1d12h, permanent.")  # fmt: skip
@click.option("--reason", metavar="TEXT", help="Why; shown in status.")
@json_option
@click.pass_obj
def ban(
    options: Options, addresses: tuple[str, ...], jail: str | None, bantime: tuple[Any] | None,
    reason: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Ban addresses or networks now."""
    arguments: dict[str, Any] = {"addresses": addresses, "jail": jail, "reason": reason}
    if bantime is not None:
        arguments["for"] = bantime[0]
    result = ask(options, "ban", arguments)
    if as_json:
        print_json(result)
        return
    for one in result["banned"]:
        until = f"until {one['until']}" if one["until"] else "for ever"
        pending = "" if one["in_force"] else "; the firewall has not taken it yet"
        click.echo(f"[{one['jail']}] Ban {one['address']} {until}{pending}")

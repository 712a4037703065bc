"""The status on a terminal: trouble first, then the jails, then who is banned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from mailbanned.cli.shared import span
from mailbanned.log import printable
from mailbanned.model import Subject, plain

_NEWEST = 15


def show(document: dict[str, Any], jail: str | None) -> None:
    """Prints the status; of all jails the newest bans, of one jail all of them."""
    Console().print(screen(document, datetime.now().astimezone(), None if jail else _NEWEST))


def screen(document: dict[str, Any], now: datetime, most: int | None) -> Group:
    """The status as something to print. most: so many bans at most; None is all."""
    parts: list[Any] = [_head(document)]
    parts += [Text(f"✗ {sentence}", style="bold red") for sentence in trouble(document)]
    parts += [Text(), _jails(document["jails"])]
    bans = [(jail["name"], ban) for jail in document["jails"] for ban in jail["bans"]]
    bans.sort(key=lambda one: one[1]["since"], reverse=True)
    if bans:
        parts += [Text(), _bans(bans[:most], now)]
    if most is not None and len(bans) > most:
        more = f"  … and {len(bans) - most} older; mailbanned status JAIL shows all of a jail"
        parts.append(Text(more, style="dim"))
    return Group(*parts)


def trouble(document: dict[str, Any]) -> Iterable[str]:
    """What needs somebody's attention, one sentence each."""
    firewall, accounts = document["firewall"], document["accounts"]
    last = document["config"]["last_reload"]
    if firewall["state"] != "up":
        yield f"firewall {firewall['backend']} is {firewall['state']}: {firewall['detail']}"
    if firewall["pending"]:
        yield f"{firewall['pending']} bans wait for the firewall"
    if firewall["sessions"].startswith("unable"):
        yield f"live connections of banned addresses go on ({firewall['sessions']})"
    if accounts["state"] == "down":
        yield f"accounts cannot be looked up, strict jails stay quiet: {accounts['last_error']}"
    for source in document["sources"]:
        if source["state"] not in ("following", "catching-up"):
            where = ", ".join(source["paths"])
            yield f"source {source['name']} is {source['state']}: {source['detail'] or where}"
    if not last["ok"]:
        yield f"the last reload was refused: {'; '.join(last['errors'])}"
    if document["store"]["error"]:
        yield document["store"]["error"]
    yield from document["config"]["hints"]


def _head(document: dict[str, Any]) -> Table:
    firewall, accounts = document["firewall"], document["accounts"]
    reaction = document["reaction_ms"]
    head = Table.grid(padding=(0, 2))
    head.add_column(style="dim")
    head.add_column()
    head.add_row("mailbanned", f"up {span(document['uptime_s'])}, pid {document['pid']}, "
                 f"{document['config']['path']}")  # fmt: skip
    zone = f", zone {firewall['zone']}" if firewall["zone"] else ""
    head.add_row("firewall", f"{firewall['backend']} {firewall['state']}{zone}, "
                 f"{firewall['bans_in_force']} bans in force")  # fmt: skip
    head.add_row("accounts", f"{accounts['backend']} {accounts['state']}, "
                 f"{accounts['lookups']} lookups, {accounts['failures']} failed")  # fmt: skip
    for source in document["sources"]:
        paths = Text(", ".join(source["paths"]) or "-", style="dim")
        words = f"{source['name']} {source['state']}, {source['lines']} lines  "
        head.add_row("source", Text(words).append_text(paths))
    if reaction["count"]:
        head.add_row("reaction", f"{reaction['p50']:.1f} ms median, {reaction['p99']:.1f} ms p99, "
                     f"{reaction['max']:.1f} ms worst of {reaction['count']} bans")  # fmt: skip
    return head


def _jails(jails: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("jail", no_wrap=True)
    for title in ("failures", "now", "banned", "now"):
        table.add_column(title, justify="right")
    table.add_column("rule", style="dim", no_wrap=True)
    for jail in jails:
        table.add_row(
            Text(jail["name"], style="" if jail["enabled"] else "dim"),
            _count(jail["failures_total"], ""),
            _count(jail["failures_now"], "yellow"),
            _count(jail["banned_total"], ""),
            _count(jail["banned_now"], "red"),
            _rule(jail),
        )
    return table


def _rule(jail: dict[str, Any]) -> str:
    if jail["enabled"]:
        return f"{jail['maxretry']} in {span(jail['findtime_s'])} → {span(jail['bantime_s'])}"
    return "resting" if jail["source"] else "by hand"


def _count(number: int, style: str) -> Text:
    return Text(f"{number:,}", style=style if number else "dim")


def _bans(bans: list[tuple[str, dict[str, Any]]], now: datetime) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("address", no_wrap=True)
    table.add_column("jail", no_wrap=True)
    table.add_column("since", justify="right")
    table.add_column("left", justify="right")
    table.add_column("failures", justify="right")
    table.add_column("as user, or why", overflow="ellipsis", no_wrap=True)
    for jail, ban in bans:
        since = (now - datetime.fromisoformat(ban["since"])).total_seconds()
        left = ban["until"] and (datetime.fromisoformat(ban["until"]) - now).total_seconds()
        table.add_row(
            Text(plain(Subject(ban["address"])), style="red"),
            jail,
            f"{span(max(0.0, since))} ago",
            span(left),
            str(ban["failures"] or ""),
            Text(printable(ban["user"] or ban["reason"])),
        )
    return table

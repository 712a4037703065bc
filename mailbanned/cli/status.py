"""`mailbanned status`: what is followed, counted and banned; a table, plain text or JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from mailbanned.cli.common import Options, ask, json_option, print_json, shown, span


@click.command()
@click.argument("jail", required=False)
@json_option
@click.pass_obj
def status(options: Options, jail: str | None, as_json: bool) -> None:
    """Show what is followed, counted and banned."""
    document = ask(options, "status", {"jail": jail})
    if as_json:
        print_json(document)
    elif sys.stdout.isatty():
        from mailbanned.cli.render_status import show

        show(document, jail)
    else:
        click.echo(plain_jail(document["jails"][0], document) if jail else plain(document))


def plain(document: dict[str, Any]) -> str:
    """The overview for pipes; its labels are the ones that monitoring scripts know already."""
    firewall, accounts = document["firewall"], document["accounts"]
    names = [jail["name"] for jail in document["jails"]]
    rows = [
        ("Daemon", f"pid {document['pid']}, up {span(document['uptime_s'])}"),
        ("Configuration", _configuration(document["config"])),
        ("Firewall", f"{firewall['backend']} {firewall['state']}, zone {firewall['zone'] or '-'}, "
         f"{firewall['bans_in_force']} bans in force, {firewall['pending']} pending"),
        ("Accounts", f"{accounts['backend']} {accounts['state']}, {accounts['lookups']} lookups, "
         f"{accounts['failures']} failed"),
        *((f"Source {source['name']}", _source(source)) for source in document["sources"]),
        ("Unmatched", _unmatched(document["sources"])),
        ("Breaker", _breaker(document["breaker"])),
        ("Reaction", _reaction(document["reaction_ms"])),
        ("Currently banned", str(sum(jail["banned_now"] for jail in document["jails"]))),
        ("Total banned", str(sum(jail["banned_total"] for jail in document["jails"]))),
        ("Number of jail", str(len(names))),
        ("Jail list", ", ".join(names)),
    ]  # fmt: skip
    lines = [f"|- {label}:\t{shown(text)}" for label, text in rows]
    lines[-1] = "`" + lines[-1][1:]
    return "\n".join(["Status", *lines])


def plain_jail(jail: dict[str, Any], document: dict[str, Any]) -> str:
    """One jail for pipes, in the shape that scripts written for fail2ban look for."""
    paths = [p for s in document["sources"] if s["name"] == jail["source"] for p in s["paths"]]
    addresses = [_address(ban["address"]) for ban in jail["bans"]]
    return "\n".join([
        f"Status for the jail: {jail['name']}",
        "|- Filter",
        f"|  |- Currently failed:\t{jail['failures_now']}",
        f"|  |- Total failed:\t{jail['failures_total']}",
        f"|  `- File list:\t{' '.join(paths)}",
        "`- Actions",
        f"   |- Currently banned:\t{jail['banned_now']}",
        f"   |- Total banned:\t{jail['banned_total']}",
        f"   `- Banned IP list:\t{' '.join(addresses)}",
    ])  # fmt: skip


def _source(source: dict[str, Any]) -> str:
    last, paths = source["last_line_at"] or "-", " ".join(source["paths"]) or "-"
    return f"{source['state']}, {source['lines']} lines, last {last}, {paths}"


def _unmatched(sources: Sequence[dict[str, Any]]) -> str:
    """How many lines look like failures, but fit no pattern, where there are any."""
    counts = ((one["name"], one.get("unmatched", {"count": 0})["count"]) for one in sources)
    return ", ".join(f"{name} {count}" for name, count in counts if count) or "0"


def _breaker(breaker: dict[str, Any]) -> str:
    if not breaker["enabled"]:
        return "off"
    if breaker["open"]:
        return f"open since {breaker['since']} ({breaker['reason']}): failed logins do not count"
    seen, suspended = breaker["openings_total"], breaker["suspended_total"]
    return f"closed, {seen} outages seen, {suspended} failures not counted"


def _reaction(reaction: dict[str, Any]) -> str:
    if not reaction["count"]:
        return "no ban yet"
    p50, p99, most = reaction["p50"], reaction["p99"], reaction["max"]
    return f"{reaction['count']} bans, p50 {p50} ms, p99 {p99} ms, max {most} ms"


def _address(subject: str) -> str:
    from mailbanned.address import Subject
    from mailbanned.address import display_subject as without_length

    return without_length(Subject(subject))


def _configuration(config: dict[str, Any]) -> str:
    last = config["last_reload"]
    text = f"{config['path']}, loaded {config['loaded_at']}"
    if not last["ok"]:
        text += f"; reload at {last['at']} REFUSED: {'; '.join(last['errors'])}"
    return text

"""`mailbanned status`: shows sources, jails and bans as a table, plain text or JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from mailbanned.address import Subject, display_subject
from mailbanned.cli.common import Options, ask, json_option, print_json
from mailbanned.clock import format_duration
from mailbanned.escape import escape_control


@click.command()
@click.argument("jail", required=False)
@json_option
@click.pass_obj
def status(options: Options, jail: str | None, as_json: bool) -> None:
    """Show sources, jails and bans."""
    document = ask(options, "status", {"jail": jail})
    if as_json:
        print_json(document)
    elif sys.stdout.isatty():
        from mailbanned.cli.render_status import show

        show(document, jail)
    else:
        click.echo(
            render_plain_jail(document["jails"][0], document) if jail else render_plain(document)
        )


def render_plain(document: dict[str, Any]) -> str:
    """The overview as plain text; its labels are those of `fail2ban-client status`."""
    firewall, accounts = document["firewall"], document["accounts"]
    names = [jail["name"] for jail in document["jails"]]
    rows = [
        ("Daemon", f"pid {document['pid']}, up {format_duration(document['uptime_s'])}"),
        ("Configuration", _configuration(document["config"])),
        (
            "Firewall",
            f"{firewall['backend']} {firewall['state']}, zone {firewall['zone'] or '-'}, "
            f"{firewall['bans_in_force']} bans in force, {firewall['pending']} pending",
        ),
        (
            "Accounts",
            f"{accounts['backend']} {accounts['state']}, {accounts['lookups']} lookups, "
            f"{accounts['failures']} failed",
        ),
        *((f"Source {source['name']}", _source(source)) for source in document["sources"]),
        ("Unmatched", _unmatched(document["sources"])),
        ("Breaker", _breaker(document["breaker"])),
        ("Reaction", _reaction(document["reaction_ms"])),
        ("Currently banned", str(sum(jail["banned_now"] for jail in document["jails"]))),
        ("Total banned", str(sum(jail["banned_total"] for jail in document["jails"]))),
        ("Number of jail", str(len(names))),
        ("Jail list", ", ".join(names)),
    ]
    lines = [f"|- {label}:\t{escape_control(text)}" for label, text in rows]
    lines[-1] = "`" + lines[-1][1:]
    return "\n".join(["Status", *lines])


def render_plain_jail(jail: dict[str, Any], document: dict[str, Any]) -> str:
    """One jail as plain text, in the form of `fail2ban-client status JAIL`."""
    paths = [
        path
        for source in document["sources"]
        if source["name"] == jail["source"]
        for path in source["paths"]
    ]
    addresses = [display_subject(Subject(ban["address"])) for ban in jail["bans"]]
    return "\n".join(
        [
            f"Status for the jail: {jail['name']}",
            "|- Filter",
            f"|  |- Currently failed:\t{jail['failures_now']}",
            f"|  |- Total failed:\t{jail['failures_total']}",
            f"|  `- File list:\t{' '.join(paths)}",
            "`- Actions",
            f"   |- Currently banned:\t{jail['banned_now']}",
            f"   |- Total banned:\t{jail['banned_total']}",
            f"   `- Banned IP list:\t{' '.join(addresses)}",
        ]
    )


def _source(source: dict[str, Any]) -> str:
    last, paths = source["last_line_at"] or "-", " ".join(source["paths"]) or "-"
    return f"{source['state']}, {source['lines']} lines, last {last}, {paths}"


def _unmatched(sources: Sequence[dict[str, Any]]) -> str:
    """The number of unmatched lines of each source that has some."""
    counts = (
        (source["name"], source.get("unmatched", {"count": 0})["count"]) for source in sources
    )
    return ", ".join(f"{name} {count}" for name, count in counts if count) or "0"


def _breaker(breaker: dict[str, Any]) -> str:
    if not breaker["enabled"]:
        return "off"
    if breaker["open"]:
        return f"open since {breaker['since']} ({breaker['reason']}): failed logins do not count"
    outages, suspended = breaker["openings_total"], breaker["suspended_total"]
    return f"closed, {outages} outages seen, {suspended} failures not counted"


def _reaction(reaction: dict[str, Any]) -> str:
    if not reaction["count"]:
        return "no ban yet"
    p50, p99, maximum = reaction["p50"], reaction["p99"], reaction["max"]
    return f"{reaction['count']} bans, p50 {p50} ms, p99 {p99} ms, max {maximum} ms"


def _configuration(config: dict[str, Any]) -> str:
    last = config["last_reload"]
    text = f"{config['path']}, loaded {config['loaded_at']}"
    if not last["ok"]:
        text += f"; reload at {last['at']} REFUSED: {'; '.join(last['errors'])}"
    return text

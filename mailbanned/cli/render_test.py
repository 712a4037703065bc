"""The document of `mailbanned test` as text: a table of the jails, remarks, the bans."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import click

from mailbanned.address import Subject, display_subject
from mailbanned.cli.common import count, format_time, format_until
from mailbanned.clock import format_duration

_MAX_NAME = 40  # characters of a name: attackers send long ones
_MAX_WIDTH = 500


def render(document: dict[str, Any], last_bans: int | None = None, width: int = _MAX_WIDTH) -> str:
    """The result as text; it ends with the sentence that fail2ban-regex ends with.

    last_bans: at most N bans of each jail are shown, the last ones; None: all.
    width: maximum length of a line. Styled for a terminal.
    """
    jails = document["jails"]
    parts = [_render_jails(jails)]
    for remark in _remarks(document):
        lines = textwrap.wrap(remark, width, initial_indent="! ", subsequent_indent="  ")
        parts.append(click.style("\n".join(lines), fg="yellow"))
    several_logs = len(document["logs"]) > 1
    for jail in jails:
        if jail["matched"]:
            bans = _render_bans(jail, last_bans, several_logs, width)
            parts.append("\n".join([*_render_jail(jail, width), *bans]))
    return "\n\n".join([*parts, _render_end(document)])


def _render_jails(jails: Sequence[dict[str, Any]]) -> str:
    rows = [["jail", "matched", "addresses", "users", "bans", "prevented"]]
    for jail in jails:
        numbers = (
            jail["matched"],
            jail["addresses"]["distinct"],
            jail["users"]["distinct"],
            len(jail["bans"]),
            jail["prevented"],
        )
        rows.append([jail["name"], *(f"{number:,}" if number else "-" for number in numbers)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "\n".join([click.style(lines[0], bold=True), *lines[1:]])


def _remarks(document: dict[str, Any]) -> Iterable[str]:
    """What a reader of the numbers should know, one sentence each."""
    for outage in document["outages"]:
        yield (
            "the login backend seems to have been down from "
            f"{format_time(outage['since'])} to {format_time(outage['until'])} "
            f"({outage['reason']}): failed logins did not count"
        )
    if number := document["unmatched"]:
        what = "line looks like a failure" if number == 1 else "lines look like failures"
        yield f"{number:,} {what}, but no pattern fits: see --unmatched"
    jails = document["jails"]
    strict = [jail["name"] for jail in jails if jail["accounts"] == "unknown" and jail["matched"]]
    if strict and document["known_users"] is None:
        verb = "counts" if len(strict) == 1 else "count"
        yield (
            f"{' and '.join(strict)} {verb} every name: the account database is not asked here; "
            "give the accounts with --known-users FILE"
        )
    if document["lines"] and not document["matched"]:
        yield "no line matched: --explain LINE shows why a line does not"


def _render_jail(jail: dict[str, Any], width: int) -> Iterable[str]:
    """What a jail counts, and the most frequent addresses and users."""
    ban = "for ever" if jail["bantime_s"] is None else f"for {format_duration(jail['bantime_s'])}"
    limit = f"{count(jail['maxretry'], 'failure')} in {format_duration(jail['findtime_s'])}"
    yield click.style(f"{jail['name']}: {limit} -> banned {ban}", bold=True)
    addresses = [f"{name} {n:,}" for name, n in jail["addresses"]["most"].items() if n > 1]
    users = [f"{_quote(name)} {n:,}" for name, n in jail["users"]["most"].items() if n > 1]
    if addresses:
        yield _shorten(f"  most from  {', '.join(addresses)}", width)
    if users:
        yield _shorten(f"  most as    {', '.join(users)}", width)
    for key, why in (("ignored", "of ignored addresses"), ("suspended", "during an outage")):
        if jail[key]:
            yield f"  {count(jail[key], 'failure')} {why} did not count"


def _render_bans(
    jail: dict[str, Any], last_bans: int | None, several_logs: bool, width: int
) -> Iterable[str]:
    """One line for each ban; with the name of the log if there are several."""
    bans = jail["bans"][-last_bans:] if last_bans else jail["bans"]
    if hidden := len(jail["bans"]) - len(bans):
        yield f"  {count(hidden, 'earlier ban')} not shown: --jail {jail['name']} shows all"
    addresses = [display_subject(Subject(ban["address"])) for ban in bans]
    places = [
        f"{ban['log']}:{ban['line']}" if several_logs else f"line {ban['line']}" for ban in bans
    ]
    address_width = max(map(len, addresses), default=0)
    place_width = max(map(len, places), default=0)
    for ban, address, place in zip(bans, addresses, places, strict=True):
        start = f"  {format_time(ban['at'])}  Ban "
        padding = " " * (address_width - len(address))
        until = format_until(ban["until"])
        rest = f"{padding} {until}  {place.ljust(place_width)}  {_remark(ban)}".rstrip()
        rest = _shorten(rest, width - len(start) - len(address))
        yield f"{start}{click.style(address, fg='red')}{rest}"


def _remark(ban: dict[str, Any]) -> str:
    parts = [f"taken back at {format_time(ban['lifted'])}: an outage"] if ban["lifted"] else []
    parts += [f"prevents {ban['prevented']:,}"] if ban["prevented"] else []
    parts += [f"as {_quote(ban['user'])}"] if ban["user"] is not None else []
    return ", ".join(parts)


def _render_end(document: dict[str, Any]) -> str:
    lines, matched, seconds = document["lines"], document["matched"], document["seconds"]
    speed = f", {lines / seconds:,.0f} lines/s" if seconds else ""
    return (
        f"Lines: {lines} lines, 0 ignored, {matched} matched, {lines - matched} missed\n"
        f"[processed in {seconds:.2f} sec{speed}; times are this host's]"
    )


def _quote(user: str) -> str:
    return repr(user if len(user) <= _MAX_NAME else user[: _MAX_NAME - 3] + "...")


def _shorten(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 3] + "..."

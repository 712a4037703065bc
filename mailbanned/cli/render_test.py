"""The document of `mailbanned test` as text: a table of the jails, what to look at, the bans."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import click

from mailbanned.address import Subject, display_subject
from mailbanned.cli.common import span

# So much of a name is shown: attackers send long ones.
_LONGEST = 40
_WIDEST = 500


def text(document: dict[str, Any], most: int | None = None, width: int = _WIDEST) -> str:
    """The result for people; it ends with the sentence that fail2ban-regex ends with.

    most: so many bans at most, the last ones, of each jail; None is all. width: where lines end
    at the latest. Styled for a terminal.
    """
    jails = document["jails"]
    parts = [_table(jails)]
    for note in _notes(document):
        lines = textwrap.wrap(note, width, initial_indent="! ", subsequent_indent="  ")
        parts.append(click.style("\n".join(lines), fg="yellow"))
    several = len(document["logs"]) > 1
    for jail in jails:
        if jail["matched"]:
            lines = [*_jail(jail, width), *_bans(jail, most, several, width)]
            parts.append("\n".join(lines))
    return "\n\n".join([*parts, _end(document)])


def _table(jails: Sequence[dict[str, Any]]) -> str:
    rows = [["jail", "matched", "addresses", "users", "bans", "prevented"]]
    for jail in jails:
        numbers = (
            jail["matched"], jail["addresses"]["distinct"], jail["users"]["distinct"],
            len(jail["bans"]), jail["prevented"],
        )  # fmt: skip
        rows.append([jail["name"], *(f"{number:,}" if number else "-" for number in numbers)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "\n".join([click.style(lines[0], bold=True), *lines[1:]])


def _notes(document: dict[str, Any]) -> Iterable[str]:
    """What somebody who reads the numbers should know, one sentence each."""
    for outage in document["outages"]:
        yield (
            f"the login backend seems to have been down from {_time(outage['since'])} to "
            f"{_time(outage['until'])} ({outage['reason']}): failed logins did not count"
        )
    if count := document["unmatched"]:
        what = "line looks like a failure" if count == 1 else "lines look like failures"
        yield f"{count:,} {what}, but no pattern fits: see --unmatched"
    jails = document["jails"]
    strict = [jail["name"] for jail in jails if jail["accounts"] == "unknown" and jail["matched"]]
    if strict and document["known_users"] is None:
        count = "counts" if len(strict) == 1 else "count"
        yield (
            f"{' and '.join(strict)} {count} every name: the account database is not asked here; "
            "give the accounts with --known-users FILE"
        )
    if document["lines"] and not document["matched"]:
        yield "no line matched: --explain LINE tells why one does not"


def _jail(jail: dict[str, Any], width: int) -> Iterable[str]:
    """What a jail counts, and whom it has met most."""
    ban = "for ever" if jail["bantime_s"] is None else f"for {span(jail['bantime_s'])}"
    failures = _count(jail["maxretry"], "failure")
    head = f"{jail['name']}: {failures} in {span(jail['findtime_s'])} -> banned {ban}"
    yield click.style(head, bold=True)
    addresses = [f"{name} {n:,}" for name, n in jail["addresses"]["most"].items() if n > 1]
    users = [f"{_name(name)} {n:,}" for name, n in jail["users"]["most"].items() if n > 1]
    if addresses:
        yield _cut(f"  most from  {', '.join(addresses)}", width)
    if users:
        yield _cut(f"  most as    {', '.join(users)}", width)
    for what, why in (("ignored", "of ignored addresses"), ("suspended", "during an outage")):
        if jail[what]:
            yield f"  {_count(jail[what], 'failure')} {why} did not count"


def _bans(jail: dict[str, Any], most: int | None, several: bool, width: int) -> Iterable[str]:
    """One line a ban; several: their lines stand in several logs."""
    bans = jail["bans"][-most:] if most else jail["bans"]
    if hidden := len(jail["bans"]) - len(bans):
        yield f"  {_count(hidden, 'earlier ban')} not shown: --jail {jail['name']} shows all"
    addresses = [display_subject(Subject(ban["address"])) for ban in bans]
    places = [f"{ban['log']}:{ban['line']}" if several else f"line {ban['line']}" for ban in bans]
    wide, far = max(map(len, addresses), default=0), max(map(len, places), default=0)
    for ban, address, place in zip(bans, addresses, places, strict=True):
        start = f"  {_time(ban['at'])}  Ban "
        until = f"until {_time(ban['until']) if ban['until'] else 'for ever'}"
        rest = f"{' ' * (wide - len(address))} {until}  {place.ljust(far)}  {_why(ban)}"
        rest = _cut(rest.rstrip(), width - len(start) - len(address))
        yield f"{start}{click.style(address, fg='red')}{rest}"


def _why(ban: dict[str, Any]) -> str:
    words = [f"taken back at {_time(ban['lifted'])}: an outage"] if ban["lifted"] else []
    words += [f"prevents {ban['prevented']:,}"] if ban["prevented"] else []
    words += [f"as {_name(ban['user'])}"] if ban["user"] is not None else []
    return ", ".join(words)


def _end(document: dict[str, Any]) -> str:
    lines, matched, seconds = document["lines"], document["matched"], document["seconds"]
    speed = f", {lines / seconds:,.0f} lines/s" if seconds else ""
    return (
        f"Lines: {lines} lines, 0 ignored, {matched} matched, {lines - matched} missed\n"
        f"[processed in {seconds:.2f} sec{speed}; times are this host's]"
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _name(user: str) -> str:
    return repr(user if len(user) <= _LONGEST else user[: _LONGEST - 3] + "...")


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 3] + "..."


def _time(at: str) -> str:
    """A time of the document without fraction and offset."""
    return at[:19]

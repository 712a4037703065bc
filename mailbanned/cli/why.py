"""`mailbanned why ADDRESS`: shows the reasons for a ban, and earlier bans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from mailbanned.cli.common import (
    Options,
    ask,
    count,
    format_time,
    format_until,
    json_option,
    print_json,
    print_text,
)
from mailbanned.escape import escape_control


@click.command()
@click.argument("address")
@json_option
@click.pass_obj
def why(options: Options, address: str, as_json: bool) -> None:
    """Show why an address is banned, or is not.

    The log lines are those that the daemon has read since it started.
    """
    document = ask(options, "why", {"address": address})
    if as_json:
        print_json(document)
    else:
        print_text("\n".join(map(escape_control, render(document))))


def render(document: dict[str, Any]) -> Iterator[str]:
    """The document as lines."""
    address = document["address"]
    yield f"{address} is {'banned' if document['bans'] else 'not banned'}."
    if document["ignored"]:
        yield f"It is on the ignore list ({document['ignored']}), and is never banned."
    for ban in document["bans"]:
        yield from _render_ban(ban, address)
    for counting in document["counting"]:
        yield (
            f"[{counting['jail']}] counts {counting['failures']} of {counting['maxretry']} failures"
            f"{_as_subject(counting['subject'], address)}, "
            f"the last at {format_time(counting['last'])}"
        )
    if document["users"]:
        yield f"Tried: {', '.join(document['users'])}"
    if document["lines"]:
        yield "The last lines:"
    for line in document["lines"]:
        yield f"  {format_time(line['at'])} {line['source']} ({line['rule']}): {line['text']}"
    yield from _render_history(document["before"])


def _render_ban(ban: dict[str, Any], address: str) -> Iterator[str]:
    subject = _as_subject(ban["subject"], address)
    yield f"[{ban['jail']}] since {format_time(ban['since'])} {format_until(ban['until'])}{subject}"
    if ban["failures"]:
        user = f", the last as {ban['user']}" if ban["user"] else ""
        yield f"  for {count(ban['failures'], 'failure')}{user}, by the pattern {ban['reason']}"
    else:
        yield f"  by hand: {ban['reason']}"
    if ban["in_force_since"]:
        yield f"  in force since {format_time(ban['in_force_since'])}"
    else:
        yield "  not in force: it waits for the firewall"
        if ban.get("kept_out_since"):
            yield f"  kept out by an interim ban since {format_time(ban['kept_out_since'])}"


def _render_history(before: dict[str, Any]) -> Iterator[str]:
    if not before["bans"]:
        yield "No earlier bans are known."
        return
    yield f"Earlier bans: {before['bans']}; the last of them:"
    for ban in before["last"]:
        end = ban["ended"] or ban["until"]
        how = f" ({ban['how']})" if ban["how"] else ""
        yield (
            f"  [{ban['jail']}] {format_time(ban['since'])} to "
            f"{format_time(end) if end else '?'}{how}, {ban['reason']}"
        )


def _as_subject(subject: str, address: str) -> str:
    """The text `as NETWORK` if the subject is wider than the address."""
    return "" if subject.removesuffix("/32").removesuffix("/128") == address else f" as {subject}"

"""`mailbanned why ADDRESS`: what is behind a ban, and what came before it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from mailbanned.cli.common import Options, ask, json_option, print_json, print_text, shown


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
        print_text("\n".join(map(shown, text(document))))


def text(document: dict[str, Any]) -> Iterator[str]:
    """The document as lines."""
    address = document["address"]
    yield f"{address} is {'banned' if document['bans'] else 'not banned'}."
    if document["ignored"]:
        yield f"It is on the ignore list ({document['ignored']}), and is never banned."
    for ban in document["bans"]:
        yield from _ban(ban, address)
    for one in document["counting"]:
        yield (
            f"[{one['jail']}] counts {one['failures']} of {one['maxretry']} failures"
            f"{_as(one['subject'], address)}, the last at {_time(one['last'])}"
        )
    if document["users"]:
        yield f"Tried: {', '.join(document['users'])}"
    if document["lines"]:
        yield "The last lines:"
    for line in document["lines"]:
        yield f"  {_time(line['at'])} {line['source']} ({line['rule']}): {line['text']}"
    yield from _before(document["before"])


def _ban(ban: dict[str, Any], address: str) -> Iterator[str]:
    until = f"until {_time(ban['until'])}" if ban["until"] else "for ever"
    yield f"[{ban['jail']}] since {_time(ban['since'])} {until}{_as(ban['subject'], address)}"
    if count := ban["failures"]:
        user = f", the last as {ban['user']}" if ban["user"] else ""
        what = "1 failure" if count == 1 else f"{count} failures"
        yield f"  for {what}{user}, by the pattern {ban['reason']}"
    else:
        yield f"  by hand: {ban['reason']}"
    if ban["in_force_since"]:
        yield f"  in force since {_time(ban['in_force_since'])}"
    else:
        yield "  not in force: it waits for the firewall"
        if ban.get("kept_out_since"):
            yield f"  kept out by an interim ban since {_time(ban['kept_out_since'])}"


def _before(before: dict[str, Any]) -> Iterator[str]:
    if not before["bans"]:
        yield "No earlier bans are known."
        return
    yield f"Earlier bans: {before['bans']}; the last of them:"
    for one in before["last"]:
        end = one["ended"] or one["until"]
        how = f" ({one['how']})" if one["how"] else ""
        yield (
            f"  [{one['jail']}] {_time(one['since'])} to {_time(end) if end else '?'}{how}, "
            f"{one['reason']}"
        )


def _as(subject: str, address: str) -> str:
    """The network, if more than the address itself is meant."""
    return "" if subject.removesuffix("/32").removesuffix("/128") == address else f" as {subject}"


def _time(at: str) -> str:
    """2026-05-01 06:43:08, in the zone of whoever asks."""
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"

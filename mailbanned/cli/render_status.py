"""What needs a terminal: the status (trouble first, then the jails, then who is banned), a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from rich.console import Console, Group
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mailbanned.address import Subject, display_subject
from mailbanned.cli.common import span
from mailbanned.log import escape_control

_NEWEST = 15
# So much of a line is shown in a sentence.
_LONGEST = 140
# So far (s) may stamps be off before somebody should look; half an hour is the least time zone.
_SKEW_S = 1500.0
# So long (s) may lines wait to be read before it is shown.
_LATE_S = 5.0


def show(document: dict[str, Any], jail: str | None) -> None:
    """Prints the status; of all jails the newest bans, of one jail all of them."""
    Console().print(screen(document, datetime.now().astimezone(), None if jail else _NEWEST))


def screen(document: dict[str, Any], now: datetime, most: int | None) -> Group:
    """The status as something to print. most: so many bans at most; None is all."""
    parts: list[Any] = [_head(document)]
    parts += [Text(f"✗ {escape_control(one)}", style="bold red") for one in trouble(document)]
    if document["sources"]:
        parts += [Text(), _sources(document["sources"], now)]
    parts += [Text(), _jails(document["jails"])]
    bans = [(jail["name"], ban) for jail in document["jails"] for ban in jail["bans"]]
    bans.sort(key=lambda one: one[1]["since"], reverse=True)
    if bans:
        parts += [Text(), _bans(bans[:most], now)]
    if most is not None and len(bans) > most:
        more = f"  … and {len(bans) - most} older; mailbanned status JAIL shows all of a jail"
        parts.append(Text(more, style="dim"))
    return Group(*parts)


@contextmanager
def reading(size: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while so many bytes are read, and nothing of it afterwards.

    Gives what is to be told of every read: how many bytes it brought.
    """
    columns = (TextColumn("reading"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, refresh_per_second=5, transient=True) as progress:
        yield partial(progress.advance, progress.add_task("", total=size))


def trouble(document: dict[str, Any]) -> Iterable[str]:
    """What needs somebody's attention, one sentence each; what hurts most comes first."""
    firewall, accounts, breaker = document["firewall"], document["accounts"], document["breaker"]
    if firewall["state"] != "up":
        yield f"firewall {firewall['backend']} is {firewall['state']}: {firewall['detail']}"
    if firewall["pending"]:
        yield f"{firewall['pending']} bans wait for the firewall"
    if firewall["sessions"].startswith("unable"):
        yield f"live connections of banned addresses go on ({firewall['sessions']})"
    if firewall.get("interim", "").startswith("unable"):
        yield f"bans wait for firewalld alone ({firewall['interim']})"
    if leaks := firewall.get("ineffective", {}).get("count"):
        newest = firewall["ineffective"]["last"]
        yield f"{leaks:,} failures came from addresses long after their ban; the last from {newest}"
    if breaker["open"]:
        yield (
            f"the login backend seems to be down since {breaker['since'][:19]} "
            f"({breaker['reason']}): failed logins do not count"
        )
    if accounts["state"] == "down":
        yield f"accounts cannot be looked up, strict jails stay quiet: {accounts['last_error']}"
    for source in document["sources"]:
        if source["state"] not in ("following", "catching-up"):
            where = ", ".join(source["paths"])
            yield f"source {source['name']} is {source['state']}: {source['detail'] or where}"
        elif source["detail"]:
            yield f"source {source['name']}: {source['detail']}"
    last = document["config"]["last_reload"]
    if not last["ok"]:
        yield f"the last reload was refused: {'; '.join(last['errors'])}"
    if document["store"]["error"]:
        yield document["store"]["error"]
    for jail in document["jails"]:
        if count := jail.get("forgotten_total"):
            name = jail["name"]
            yield f"jail {name} forgot the failures of {count:,} addresses, since there are so many"
    for source in document["sources"]:
        yield from _odd_lines(source)
    yield from document["config"]["hints"]


def _odd_lines(source: dict[str, Any]) -> Iterable[str]:
    """What the lines of a source say against its configuration."""
    skew = source.get("stamps", {}).get("skew_s")
    if skew is not None and abs(skew) > _SKEW_S:
        ago = f"{span(abs(skew))} {'behind' if skew > 0 else 'ahead of'} the clock"
        yield f"source {source['name']} has time stamps {ago}: is its timezone right?"
    unmatched = source.get("unmatched", {"count": 0})
    if count := unmatched["count"]:
        line = unmatched["line"]
        many = f"{count:,} lines of source {source['name']} look like failures, but fit"
        if count == 1:
            many = f"a line of source {source['name']} looks like a failure, but fits"
        newest = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
        yield f"{many} no pattern (mailbanned test --unmatched); the last one: {newest}"


def _head(document: dict[str, Any]) -> Table:
    firewall, accounts, breaker = document["firewall"], document["accounts"], document["breaker"]
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
    if breaker["openings_total"]:
        head.add_row("outages", f"{breaker['openings_total']} of the login backend seen, "
                     f"{breaker['suspended_total']} failures in them not counted")  # fmt: skip
    if reaction["count"]:
        head.add_row("reaction", f"{reaction['p50']:.1f} ms median, {reaction['p99']:.1f} ms p99, "
                     f"{reaction['max']:.1f} ms worst of {reaction['count']} bans")  # fmt: skip
    return head


def _sources(sources: list[dict[str, Any]], now: datetime) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("source", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("lines", justify="right")
    table.add_column("last", justify="right", no_wrap=True)
    table.add_column("log", style="dim", overflow="fold")
    for source in sources:
        last = source["last_line_at"]
        table.add_row(
            source["name"],
            _state(source),
            _count(source["lines"], ""),
            f"{_since(last, now)} ago" if last else "-",
            Text(escape_control(", ".join(source["paths"])) or "-"),
        )
    return table


def _state(source: dict[str, Any]) -> Text:
    behind = source.get("lag_s", 0.0)
    late = f", {span(behind)} behind" if behind >= _LATE_S else ""
    well = source["state"] == "following" and not late
    return Text(source["state"] + late, style="" if well else "yellow")


def _since(at: str, now: datetime) -> str:
    return span(max(0.0, (now - datetime.fromisoformat(at)).total_seconds()))


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
        left = ban["until"] and (datetime.fromisoformat(ban["until"]) - now).total_seconds()
        table.add_row(
            Text(display_subject(Subject(ban["address"])), style="red"),
            jail,
            f"{_since(ban['since'], now)} ago",
            span(left),
            str(ban["failures"] or ""),
            Text(escape_control(ban["user"] or ban["reason"])),
        )
    return table

"""What needs a terminal: the status (problems first, then jails, then bans), a progress bar."""

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
from mailbanned.cli.common import format_time
from mailbanned.clock import format_duration
from mailbanned.escape import escape_control

_NEWEST_BANS = 15
_MAX_LINE = 140  # characters of a log line in a sentence
# A larger difference between timestamps and the clock is a problem. Time zones differ by at least
# half an hour.
_MAX_SKEW_S = 1500.0
_MAX_LAG_S = 5.0  # seconds; a larger lag is shown


def show(document: dict[str, Any], jail: str | None) -> None:
    """Prints the status, with the newest bans of all jails, or all bans of one jail."""
    max_bans = None if jail else _NEWEST_BANS
    Console().print(render(document, datetime.now().astimezone(), max_bans))


def render(document: dict[str, Any], now: datetime, max_bans: int | None) -> Group:
    """The status as something to print. max_bans: at most N bans, the newest; None: all."""
    parts: list[Any] = [_render_head(document)]
    parts += [Text(f"✗ {escape_control(text)}", style="bold red") for text in problems(document)]
    if document["sources"]:
        parts += [Text(), _render_sources(document["sources"], now)]
    parts += [Text(), _render_jails(document["jails"])]
    bans = [(jail["name"], ban) for jail in document["jails"] for ban in jail["bans"]]
    bans.sort(key=lambda entry: entry[1]["since"], reverse=True)
    if bans:
        parts += [Text(), _render_bans(bans[:max_bans], now)]
    if max_bans is not None and len(bans) > max_bans:
        more = f"  … and {len(bans) - max_bans} older; mailbanned status JAIL shows all of a jail"
        parts.append(Text(more, style="dim"))
    return Group(*parts)


@contextmanager
def progress_bar(size: int) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on stderr while N bytes are read, and removes it afterwards.

    Yields a function to call with the number of bytes of each read.
    """
    columns = (TextColumn("reading"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, refresh_per_second=5, transient=True) as progress:
        yield partial(progress.advance, progress.add_task("", total=size))


def problems(document: dict[str, Any]) -> Iterable[str]:
    """What needs attention, one sentence each; the most serious first."""
    firewall, accounts, breaker = document["firewall"], document["accounts"], document["breaker"]
    if firewall["state"] != "up":
        yield f"firewall {firewall['backend']} is {firewall['state']}: {firewall['detail']}"
    if firewall["pending"]:
        yield f"{firewall['pending']} bans wait for the firewall"
    if firewall["sessions"].startswith("unable"):
        yield f"live connections of banned addresses go on ({firewall['sessions']})"
    if firewall.get("interim", "").startswith("unable"):
        yield f"bans wait for firewalld alone ({firewall['interim']})"
    if number := firewall.get("ineffective", {}).get("count"):
        last = firewall["ineffective"]["last"]
        yield f"{number:,} failures came from addresses long after their ban; the last from {last}"
    if breaker["open"]:
        yield (
            f"the login backend seems to be down since {format_time(breaker['since'])} "
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
        if number := jail.get("forgotten_total"):
            yield f"jail {jail['name']}: table full; it forgot the failures of {number:,} addresses"
    for source in document["sources"]:
        yield from _line_problems(source)
    yield from document["config"]["hints"]


def _line_problems(source: dict[str, Any]) -> Iterable[str]:
    """What the lines of a source say against its configuration."""
    skew = source.get("stamps", {}).get("skew_s")
    if skew is not None and abs(skew) > _MAX_SKEW_S:
        ago = f"{format_duration(abs(skew))} {'behind' if skew > 0 else 'ahead of'} the clock"
        yield f"source {source['name']} has time stamps {ago}: is its timezone right?"
    unmatched = source.get("unmatched", {"count": 0})
    if number := unmatched["count"]:
        line = unmatched["line"]
        lines = f"{number:,} lines of source {source['name']} look like failures, but fit"
        if number == 1:
            lines = f"a line of source {source['name']} looks like a failure, but fits"
        newest = line if len(line) <= _MAX_LINE else line[: _MAX_LINE - 1] + "…"
        yield f"{lines} no pattern (mailbanned test --unmatched); the last one: {newest}"


def _render_head(document: dict[str, Any]) -> Table:
    firewall, accounts, breaker = document["firewall"], document["accounts"], document["breaker"]
    reaction = document["reaction_ms"]
    head = Table.grid(padding=(0, 2))
    head.add_column(style="dim")
    head.add_column()
    uptime = format_duration(document["uptime_s"])
    config = document["config"]["path"]
    head.add_row("mailbanned", f"up {uptime}, pid {document['pid']}, {config}")
    zone = f", zone {firewall['zone']}" if firewall["zone"] else ""
    in_force = f"{firewall['bans_in_force']} bans in force"
    head.add_row("firewall", f"{firewall['backend']} {firewall['state']}{zone}, {in_force}")
    lookups = f"{accounts['lookups']} lookups, {accounts['failures']} failed"
    head.add_row("accounts", f"{accounts['backend']} {accounts['state']}, {lookups}")
    if outages := breaker["openings_total"]:
        suspended = f"{breaker['suspended_total']} failures in them not counted"
        head.add_row("outages", f"{outages} of the login backend seen, {suspended}")
    if reaction["count"]:
        values = f"{reaction['p50']:.1f} ms median, {reaction['p99']:.1f} ms p99"
        worst = f"{reaction['max']:.1f} ms worst of {reaction['count']} bans"
        head.add_row("reaction", f"{values}, {worst}")
    return head


def _render_sources(sources: list[dict[str, Any]], now: datetime) -> Table:
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
            _describe_state(source),
            _count(source["lines"], ""),
            f"{_elapsed(last, now)} ago" if last else "-",
            Text(escape_control(", ".join(source["paths"])) or "-"),
        )
    return table


def _describe_state(source: dict[str, Any]) -> Text:
    behind = source.get("lag_s", 0.0)
    lag = f", {format_duration(behind)} behind" if behind >= _MAX_LAG_S else ""
    is_well = source["state"] == "following" and not lag
    return Text(source["state"] + lag, style="" if is_well else "yellow")


def _elapsed(at: str, now: datetime) -> str:
    return format_duration(max(0.0, (now - datetime.fromisoformat(at)).total_seconds()))


def _render_jails(jails: list[dict[str, Any]]) -> Table:
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
            _describe_limits(jail),
        )
    return table


def _describe_limits(jail: dict[str, Any]) -> str:
    if jail["enabled"]:
        findtime, bantime = format_duration(jail["findtime_s"]), format_duration(jail["bantime_s"])
        return f"{jail['maxretry']} in {findtime} → {bantime}"
    return "disabled" if jail["source"] else "by hand"


def _count(number: int, style: str) -> Text:
    return Text(f"{number:,}", style=style if number else "dim")


def _render_bans(bans: list[tuple[str, dict[str, Any]]], now: datetime) -> Table:
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
            f"{_elapsed(ban['since'], now)} ago",
            format_duration(left),
            str(ban["failures"] or ""),
            Text(escape_control(ban["user"] or ban["reason"])),
        )
    return table

"""`mailbanned test LOG...`: runs old logs through the jails without touching anything.

The stamps of the lines are the time, and lines end at LF only. Without --known-users every named
account counts as unknown, so the strict jails show the most they could ban.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

import click

from mailbanned.cli.common import (
    Fault,
    Options,
    json_option,
    json_text,
    load,
    moment,
    print_json,
    print_text,
    shown,
)

if TYPE_CHECKING:
    from mailbanned.config import Config
    from mailbanned.model import Failure, Line
    from mailbanned.replay.replay import Replay, Unmatched

# So many bans of each jail are shown on a terminal, where all jails are to be seen.
_LAST = 8
# So many new objects before Python looks for cycles among them.
_MANY_OBJECTS = 50_000


@click.command()
@click.argument("logs", nargs=-1, metavar="LOG...")
@click.option("--jail", "names", metavar="NAME", multiple=True, help="Only this jail; repeatable.")
@click.option(
    "--since", metavar="TIME", help="Count nothing before 2026-05-01T06:00, say; 2d: two days ago."
)
@click.option("--until", metavar="TIME", help="Count nothing after, in the same forms.")
@click.option(
    "--known-users",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The accounts that exist, one a line, in place of the database.",
)
@click.option("--matches", is_flag=True, help="Print one JSON object for each matched line.")
@click.option(
    "--unmatched", is_flag=True, help="Print the lines that look like failures but fit no pattern."
)
@click.option(
    "--explain",
    metavar="LINE",
    help="Instead of reading LOG: tell step by step what becomes of LINE; - is standard input.",
)
@json_option
@click.pass_obj
def test(
    options: Options, logs: tuple[str, ...], names: tuple[str, ...], since: str | None,
    until: str | None, known_users: Path | None, matches: bool, unmatched: bool,
    explain: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what old logs hold for the jails: what matches, who would have been banned when.

    LOG may be packed with gzip; - is standard input. Nothing is touched, and nobody is asked: no
    daemon, no firewall, no database.
    """
    if bool(logs) == (explain is not None):
        raise click.UsageError("name a LOG to read (- is standard input), or --explain a line")
    if matches and unmatched:
        raise click.UsageError("--matches and --unmatched do not go together; give one of them")
    now = time.time()
    begin = moment(since, "--since", now) if since is not None else -inf
    end = moment(until, "--until", now) if until is not None else inf
    if begin >= end:
        raise click.UsageError("--since is not before --until")
    config = load(options.file())
    _check(config, names)
    if explain is not None:
        _explain(config, names, explain, as_json)
        return
    from mailbanned.replay.replay import Replay, known

    accounts = known(_read(known_users)) if known_users else None
    replay = Replay(
        config, names, accounts, since=begin, until=end,
        matched=_print_match if matches else None,
        unmatched=_printer(as_json, len(logs) > 1) if unmatched else None,
    )  # fmt: skip
    seconds = _run(replay, logs, bar=not (matches or unmatched) or not sys.stdout.isatty())
    if not (matches or unmatched):
        _print(replay, seconds, as_json)


def _check(config: Config, names: Sequence[str]) -> None:
    for name in names:
        if name not in config.file.jails:
            listed = ", ".join(config.file.jails)
            raise Fault(f"there is no jail {name!r}; known are {listed}")


def _run(replay: Replay, logs: Sequence[str], *, bar: bool) -> float:
    """Reads the logs; returns how long it took (s)."""
    from mailbanned.replay.reader import opened

    with opened(logs, bar=bar) as streams, _few_collections():
        began = time.perf_counter()
        replay.read(streams)
        return time.perf_counter() - began


@contextmanager
def _few_collections() -> Iterator[None]:
    """What is counted stays and has no cycles: looking for some takes a twelfth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(_MANY_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _print(replay: Replay, seconds: float, as_json: bool) -> None:
    from mailbanned.cli.render_test import text
    from mailbanned.replay.stats import document

    found = document(replay, seconds)
    if as_json:
        print_json(found)
        return
    if not sys.stdout.isatty():
        print_text(text(found))
        return
    width, _ = get_terminal_size()
    print_text(text(found, _LAST if len(replay.jails) > 1 else None, max(80, width)))


def _explain(config: Config, names: Sequence[str], line: str, as_json: bool) -> None:
    from mailbanned.cli.render_explain import text
    from mailbanned.replay.explain import explanation

    raw = sys.stdin.buffer.read() if line == "-" else line.encode("utf-8", "surrogateescape")
    found = explanation(config, names, raw)
    if as_json:
        print_json(found)
    else:
        print_text(text(found))


def _print_match(log: str, jail: str, failure: Failure) -> None:
    """One JSON line; through a buffer, since there may be a million of them."""
    from mailbanned.replay.stats import match_document

    sys.stdout.write(json_text(match_document(log, jail, failure)) + "\n")


def _printer(as_json: bool, several: bool) -> Unmatched:
    """Prints unmatched lines as JSON, or as `grep -n` prints them, with what is not printable
    escaped; with the log's name if there are several."""
    from mailbanned.replay.stats import unmatched_document

    def show(log: str, source: str, line: Line) -> None:
        if as_json:
            text = json_text(unmatched_document(log, source, line))
        else:
            where = f"{log}:" if several else ""
            text = f"{where}{line.number}: {shown(line.text.decode('utf-8', 'replace'))}"
        sys.stdout.write(text + "\n")

    return show


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fault(f"{path}: cannot be read ({error.strerror})") from None

"""`mailbanned test LOG...`: runs old logs through the jails without touching anything.

The timestamps of the lines are the time, and lines end at LF only. Without --known-users every
named account counts as unknown, so strict jails show the most that they could ban.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from math import inf
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

import click

from mailbanned.cli.common import (
    CliError,
    Options,
    json_option,
    json_text,
    load,
    parse_time,
    print_json,
    print_text,
)
from mailbanned.escape import escape_control

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mailbanned.config import Config
    from mailbanned.model import Failure, Line
    from mailbanned.replay.replay import OnUnmatched, Replay
    from mailbanned.replay.stats import Result

# Bans of each jail that are shown on a terminal, if there are several jails.
_LAST_BANS = 8
# Smaller logs (bytes) are read too quickly for a progress bar.
_LONG_LOG = 16 << 20
# New objects until Python looks for cycles. What is counted has none, and stays: with the default
# of 700, looking for cycles takes a twelfth of the time.
_GC_THRESHOLD = 50_000


@click.command()
@click.argument("logs", nargs=-1, metavar="LOG...")
@click.option("--jail", "names", metavar="NAME", multiple=True, help="Use this jail; repeatable.")
@click.option(
    "--since",
    metavar="TIME",
    help="Ignore lines before TIME (ISO 8601, or 2d for two days ago).",
)
@click.option("--until", metavar="TIME", help="Ignore lines after TIME.")
@click.option(
    "--known-users",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take the accounts that exist from FILE, one a line, instead of the database.",
)
@click.option("--matches", is_flag=True, help="Print one JSON object for each matched line.")
@click.option(
    "--unmatched", is_flag=True, help="Print the lines that look like failures but fit no pattern."
)
@click.option(
    "--explain",
    metavar="LINE",
    help="Explain step by step what becomes of LINE, instead of reading LOG; - is standard input.",
)
@json_option
@click.pass_obj
def test(
    options: Options,
    logs: tuple[str, ...],
    names: tuple[str, ...],
    since: str | None,
    until: str | None,
    known_users: Path | None,
    matches: bool,
    unmatched: bool,
    explain: str | None,
    as_json: bool,
) -> None:
    """Show what the jails find in old logs: matches, and bans with their times.

    LOG may be compressed with gzip; - is standard input. Nothing is changed, and no daemon,
    firewall or database is used.
    """
    if bool(logs) == (explain is not None):
        raise click.UsageError("name a LOG to read (- is standard input), or --explain a line")
    if matches and unmatched:
        raise click.UsageError("--matches and --unmatched do not go together; give one of them")
    now = time.time()
    begin = parse_time(since, "--since", now) if since is not None else -inf
    end = parse_time(until, "--until", now) if until is not None else inf
    if begin >= end:
        raise click.UsageError("--since is not before --until")
    config = load(options.file())
    _check_jails(config, names)
    if explain is not None:
        _explain(config, names, explain, as_json)
        return
    from mailbanned.replay.replay import Replay, parse_accounts

    replay = Replay(
        config,
        names,
        parse_accounts(_read(known_users)) if known_users else None,
        since=begin,
        until=end,
        on_matched=_print_match if matches else None,
        on_unmatched=_unmatched_printer(as_json, len(logs) > 1) if unmatched else None,
    )
    prints_lines = matches or unmatched
    bar = sys.stderr.isatty() and not (prints_lines and sys.stdout.isatty())
    result, seconds = _run(replay, logs, bar=bar)
    if not prints_lines:
        _print_result(result, seconds, as_json)


def _check_jails(config: Config, names: Sequence[str]) -> None:
    for name in names:
        if name not in config.file.jails:
            listed = ", ".join(config.file.jails)
            raise CliError(f"there is no jail {name!r}; known are {listed}")


def _run(replay: Replay, names: Sequence[str], *, bar: bool) -> tuple[Result, float]:
    """Reads the logs; returns the result, and how long it took (s)."""
    from mailbanned.replay.reader import ReplayError, open_logs

    try:
        with open_logs(names) as logs, _rare_gc():
            size = sum(log.size for log in logs)
            with _progress(size if bar else 0) as advance:
                began = time.perf_counter()
                result = replay.run(logs, advance)
                return result, time.perf_counter() - began
    except ReplayError as error:
        raise CliError(str(error)) from None


def _progress(size: int) -> AbstractContextManager[Callable[[int], None] | None]:
    """A progress bar over N bytes, if they are many."""
    if size < _LONG_LOG:
        return nullcontext()
    from mailbanned.cli.render_status import progress_bar

    return progress_bar(size)


@contextmanager
def _rare_gc() -> Iterator[None]:
    """Runs the garbage collector rarely."""
    before = gc.get_threshold()
    gc.set_threshold(_GC_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _print_result(result: Result, seconds: float, as_json: bool) -> None:
    from mailbanned.cli.render_test import render

    document = result.document(seconds)
    if as_json:
        print_json(document)
        return
    if not sys.stdout.isatty():
        print_text(render(document))
        return
    width, _ = get_terminal_size()
    last_bans = _LAST_BANS if len(result.jails) > 1 else None
    print_text(render(document, last_bans, max(80, width)))


def _explain(config: Config, names: Sequence[str], line: str, as_json: bool) -> None:
    from mailbanned.cli.render_explain import render
    from mailbanned.replay.explain import explain
    from mailbanned.replay.reader import ReplayError

    raw = sys.stdin.buffer.read() if line == "-" else line.encode("utf-8", "surrogateescape")
    try:
        document = explain(config, names, raw)
    except ReplayError as error:
        raise CliError(str(error)) from None
    if as_json:
        print_json(document)
    else:
        print_text(render(document))


def _print_match(log: str, jail: str, failure: Failure) -> None:
    """Prints one JSON line, buffered: there may be a million of them."""
    from mailbanned.replay.stats import match_document

    sys.stdout.write(json_text(match_document(log, jail, failure)) + "\n")


def _unmatched_printer(as_json: bool, several: bool) -> OnUnmatched:
    """A function that prints unmatched lines as JSON, or as `grep -n` does but escaped.

    several: there are several logs, so their names are printed.
    """
    from mailbanned.replay.stats import unmatched_document

    def show(log: str, source: str, line: Line) -> None:
        if as_json:
            text = json_text(unmatched_document(log, source, line))
        else:
            where = f"{log}:" if several else ""
            text = f"{where}{line.number}: {escape_control(line.text.decode('utf-8', 'replace'))}"
        sys.stdout.write(text + "\n")

    return show


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CliError(f"{path}: cannot be read ({error.strerror})") from None

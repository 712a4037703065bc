"""`mailbanned test LOG...`: runs old logs through the jails without touching anything.

The stamps of the lines are the time, and lines end at LF only. Without --known-users every named
account counts as unknown, so the strict jails show the most they could ban.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import click

from mailbanned.cli.shared import Fault, Options, json_option, load, print_json


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("--jail", "names", multiple=True, help="Only this jail (may be given again).")
@click.option("--matches", is_flag=True, help="One JSON object for each matched line.")
@click.option("--known-users", type=click.Path(path_type=Path, dir_okay=False),
              help="A file with one existing account a line, instead of the database.")  # fmt: skip
@json_option
@click.pass_obj
def test(
    options: Options, logs: tuple[str, ...], names: tuple[str, ...], matches: bool,
    known_users: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what in old logs matches, and who would have been banned when."""
    from mailbanned.cli.replay import Replay, known, text

    config = load(options.file())
    unknown = [name for name in names if name not in config.file.jails]
    if unknown:
        listed = ", ".join(config.file.jails)
        raise Fault(f"there is no jail {unknown[0]!r}; known are {listed}")
    accounts = known(_read(known_users)) if known_users else frozenset()
    replay = Replay(config, names, accounts, print_match if matches else None)
    began = time.perf_counter()
    for name in logs:
        with _opened(name) as stream:
            replay.read(stream, name)
    seconds = time.perf_counter() - began
    if matches:
        return
    document = replay.document(seconds)
    if as_json:
        print_json(document)
    else:
        click.echo(text(document))


def print_match(match: dict[str, Any]) -> None:
    """One JSON line; through a buffer, since there may be a million of them."""
    sys.stdout.write(json.dumps(match, ensure_ascii=False) + "\n")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fault(f"{path}: cannot be read ({error.strerror})") from None


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """A log as bytes; "-" is standard input, gzip is unpacked."""
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as stream:
            packed = stream.peek(2)[:2] == b"\x1f\x8b"
            yield cast(IO[bytes], gzip.GzipFile(fileobj=stream)) if packed else stream
    except (OSError, EOFError) as error:
        raise Fault(f"{name}: cannot be read ({error})") from None

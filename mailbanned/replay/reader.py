"""Reads old logs and finds failures in them, in the order of time.

Logs are files, compressed with gzip or not, or standard input; lines may also be the entries that
`journalctl -o json` wrote. Several logs are read side by side, so rotated logs may be given in any
order, and an outage that one server logs applies to failures that another server logs.

The daemon's gzip reader (sources/file/rawfile.py) is not used here: it is asynchronous, reads at
any offset and needs a regular file, whereas this one reads forward, also from standard input, and
recognises gzip by content.

Known limits: a line without a timestamp counts as old as the line before it in which something was
found. Journal entries that the daemon would not trust (any local user may write to the journal)
become empty lines, so that the other lines keep their numbers.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import IO, NamedTuple, cast

from mailbanned.escape import escape_control
from mailbanned.filters import FilterSet
from mailbanned.logformat.messages import SKIPPING_LINE, split_messages
from mailbanned.model import Line, LogEvent

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 19  # bytes read at once
# The limit of lines and of delays by unfinished messages (bytes), far above that of the daemon.
_MAX_LINE = 1 << 20

#: What was found in a line. A Line is an unmatched one: it looks like a failure, but no pattern
#: matches it.
Finding = LogEvent | Line


class ReplayError(Exception):
    """A log or a line cannot be used; the text says why and what to do."""


class Findings(NamedTuple):
    """Consecutive findings in one log.

    at: time of the first one, if it has no timestamp of its own (epoch).
    """

    at: float
    log: Log
    source: str
    findings: Sequence[Finding]


@contextmanager
def open_logs(names: Sequence[str]) -> Iterator[list[Log]]:
    """Opens logs by name, and closes them at the end. Raises ReplayError."""
    with ExitStack() as stack:
        logs = []
        for name in names:
            logs.append(Log(name))
            stack.callback(logs[-1].close)
        yield logs


class Log:
    """A log as bytes; "-" is standard input, gzip is decompressed. Raises ReplayError.

    name: safe to print.
    size: of the file (bytes); 0 for standard input.
    """

    def __init__(self, name: str) -> None:
        self.name = escape_control(name)
        self.size = 0
        try:
            if name == "-":
                self._file = _stdin()
            else:
                self._file = io.BufferedReader(io.FileIO(name), _CHUNK)
                self.size = os.fstat(self._file.fileno()).st_size
            compressed = self._file.peek(2)[:2] == _GZIP_MAGIC
        except OSError as error:
            raise self._error(error) from None
        self._stream = (
            gzip.GzipFile(fileobj=self._file) if compressed else cast(IO[bytes], self._file)
        )

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; b"" at the end."""
        try:
            return self._stream.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise self._error(error) from None

    def position(self) -> int:
        """The number of bytes of the file that have been used; 0 for standard input."""
        return self._file.tell() if self.size else 0

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()
        self._file.close()

    def _error(self, error: Exception) -> ReplayError:
        if isinstance(error, IsADirectoryError):
            why = "it is a directory; name the logs in it"
        elif isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
            why = "damaged or truncated; try what zcat gets out of it: zcat LOG | mailbanned test -"
        else:
            why = getattr(error, "strerror", None) or str(error)
        return ReplayError(f"{self.name}: cannot be read ({why})")


def _stdin() -> io.BufferedReader:
    if sys.stdin is None:
        raise OSError("standard input is closed")
    return cast(io.BufferedReader, sys.stdin.buffer)


class LogReader:
    """Reads logs with the filters of all sources.

    lines: number of lines read.
    """

    def __init__(self, filters: Mapping[str, FilterSet]) -> None:
        self.lines = 0
        self._filters = filters
        self._unmatched: list[tuple[str, Line]] = []

    def read(
        self, logs: Sequence[Log], advance: Callable[[int], None] | None = None
    ) -> Iterator[Findings]:
        """Reads logs from start to end; a last line without LF is a line.

        advance: called with the number of bytes that were read from a file since the last call.
        """
        now = time.time()
        if len(logs) == 1:
            return self._read_log(logs[0], now, advance)
        each = (_split(self._read_log(log, now, advance)) for log in logs)
        return merge(*each, key=itemgetter(0))

    def _read_log(
        self, log: Log, now: float, advance: Callable[[int], None] | None
    ) -> Iterator[Findings]:
        at, number = now, 1
        for block in _blocks(log, advance):
            for source, findings in self._find(block, now, number):
                yield Findings(at, log, source, findings)
                times = (finding.at for finding in reversed(findings))
                at = next((stamp for stamp in times if stamp is not None), at)
            lines = block.count(b"\n") + (not block.endswith(b"\n"))
            number += lines
            self.lines += lines

    def _find(self, block: bytes, now: float, number: int) -> Iterator[tuple[str, list[Finding]]]:
        """Yields what each source finds in whole lines, the first of which has this number."""
        found: list[tuple[str, Finding]] = []
        for source, filters in self._filters.items():
            note_unmatched = partial(self._note_unmatched, source)
            findings: list[Finding] = list(filters.read(block, now, number, note_unmatched))
            if len(self._filters) == 1 and not self._unmatched:
                yield source, findings
                return
            found += ((source, finding) for finding in findings)
        if self._unmatched:
            # Where several servers write one log, each filter meets lines of the other servers.
            unmatched = {
                line.number: (source, line)
                for source, line in self._unmatched
                if not self._matches(line)
            }
            found += unmatched.values()
            self._unmatched.clear()
        found.sort(key=lambda pair: pair[1].number)
        for source, group in groupby(found, key=itemgetter(0)):
            yield source, [finding for _, finding in group]

    def _matches(self, line: Line) -> bool:
        """Whether a pattern of any source matches the line."""
        filters = (each for filter_set in self._filters.values() for each in filter_set.filters)
        return any(filter_.match(line) for filter_ in filters)

    def _note_unmatched(self, source: str, line: Line) -> None:
        self._unmatched.append((source, line))


def _split(all_findings: Iterator[Findings]) -> Iterator[Findings]:
    """Yields findings one by one, so that those of several logs can be merged."""
    for at, log, source, findings in all_findings:
        for finding in findings:
            if finding.at is not None:
                at = finding.at
            yield Findings(at, log, source, (finding,))


def _blocks(log: Log, advance: Callable[[int], None] | None) -> Iterator[bytes]:
    """Yields a log in blocks of whole messages, one message a line."""
    rest, skipping, position = b"", 0, 0
    while chunk := log.read(_CHUNK):
        if advance is not None:
            advance(log.position() - position)
            position = log.position()
        data = rest + chunk
        lines, end, skipping = split_messages(data, 0, skipping, _MAX_LINE, keep_numbers=True)
        if lines:
            yield decode_journal(lines)
        rest = data[end:]
    if rest or skipping & SKIPPING_LINE:
        rest += b"\n"
        lines, end, _ = split_messages(rest, 0, skipping, _MAX_LINE, keep_numbers=True)
        # The parts of messages without an end are empty lines.
        yield decode_journal(lines + b"\n" * rest.count(b"\n", end))


def decode_journal(block: bytes) -> bytes:
    """Whole lines, with journal entries (JSON) as text; other lines stay as they are."""
    first = block.lstrip(b"\n").partition(b"\n")[0]
    if not first.startswith(b"{") or b'"__CURSOR"' not in first:
        return block
    return b"\n".join(map(_decode_entry, block.split(b"\n")))


def _decode_entry(text: bytes) -> bytes:
    from mailbanned.sources.journal.entry import (  # rarely needed, and slow
        is_trusted,
        parse_entry,
        to_syslog_line,
    )

    entry = parse_entry(text)
    if entry is None:
        return text
    program = entry.fields.get("SYSLOG_IDENTIFIER")
    if not isinstance(program, str):
        return b""
    selector = "sshd" if program.startswith("sshd") else f"SYSLOG_IDENTIFIER={program}"
    found = to_syslog_line(entry) if is_trusted(entry, selector) else None
    return found.removesuffix(b"\n") if found else b""

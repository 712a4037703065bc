"""Journals that `journalctl -o json` wrote to a file, as the lines that the daemon would read.

Records that the daemon would not believe (any local user may write to the journal) become empty
lines, so that the numbers of the others stay what they are.

Opens the logs that `mailbanned test` is given, and shows how far it has read in them.

Logs -> what the filters of each source find in them, in the order of time.

Several logs are read side by side, so rotated ones may be given in any order, and an outage that
one server logs is known when another one logs the failures.

Known limit: a line without a stamp is as old as the one before it in which anything was found.
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
from pathlib import Path
from typing import IO, NamedTuple, Protocol, cast

from mailbanned.cli.common import Fault, shown
from mailbanned.filters import FilterSet
from mailbanned.logformat.messages import SKIPPING_LINE, split_messages
from mailbanned.model import Line, LogEvent


def text_of(block: bytes) -> bytes:
    """Whole lines, in which records of a journal stand as text; other lines stay as they are."""
    first = block.lstrip(b"\n").partition(b"\n")[0]
    if not first.startswith(b"{") or b'"__CURSOR"' not in first:
        return block
    return b"\n".join(map(_line, block.split(b"\n")))


def _line(text: bytes) -> bytes:
    from mailbanned.sources.journal.entry import is_believed, line, parse  # rarely needed, and slow

    record = parse(text)
    if record is None:
        return text
    program = record.fields.get("SYSLOG_IDENTIFIER")
    if not isinstance(program, str):
        return b""
    entry = "sshd" if program.startswith("sshd") else f"SYSLOG_IDENTIFIER={program}"
    found = line(record) if is_believed(record, entry) else None
    return found.removesuffix(b"\n") if found else b""


# Below this size (bytes) the answer is there before a bar could be read.
_LONG = 16 << 20
_GZIP = b"\x1f\x8b"


@contextmanager
def opened(names: Sequence[str], *, bar: bool) -> Iterator[list[Log]]:
    """The logs; while long ones are read, a bar on stderr (if it is a terminal) tells how far.

    bar: False if the terminal is being written to meanwhile. Raises Fault.
    """
    with ExitStack() as stack:
        logs = []
        for name in names:
            logs.append(Log(name))
            stack.callback(logs[-1].close)
        size = sum(log.size for log in logs)
        if bar and size >= _LONG and sys.stderr.isatty():
            from mailbanned.cli.render_status import reading

            advance = stack.enter_context(reading(size))
            for log in logs:
                log.advance = advance
        yield logs


class Log:
    """A log as bytes; "-" is standard input, gzip is unpacked. Raises Fault if it is unreadable.

    name: fit to be shown. size: of the file, 0 if nobody knows. advance: is told of every byte
    that is read from the file.
    """

    def __init__(self, name: str) -> None:
        self.name = shown(name)
        self.advance: Callable[[int], None] = _nowhere
        try:
            self._file = self._stdin() if name == "-" else self._opened(Path(name))
            packed = self._file.peek(2)[:2] == _GZIP
        except OSError as error:
            raise self._unreadable(error) from None
        self._stream = gzip.GzipFile(fileobj=self._file) if packed else cast(IO[bytes], self._file)

    def read(self, size: int) -> bytes:
        """The next bytes, so many if there are; none at the end."""
        try:
            return self._stream.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise self._unreadable(error) from None

    def close(self) -> None:
        """Nothing can be read any more."""
        self._stream.close()
        self._file.close()

    def _opened(self, path: Path) -> io.BufferedReader:
        raw = _Counted(path.open("rb", buffering=0), self)
        self.size = raw.size
        return io.BufferedReader(raw, 1 << 19)

    def _stdin(self) -> io.BufferedReader:
        self.size = 0
        if sys.stdin is None:
            raise OSError("standard input is closed")
        return cast(io.BufferedReader, sys.stdin.buffer)

    def _unreadable(self, error: Exception) -> Fault:
        if isinstance(error, IsADirectoryError):
            why = "it is a folder; name the logs in it"
        elif isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
            why = "damaged or cut off; try what zcat gets out of it: zcat LOG | mailbanned test -"
        else:
            why = getattr(error, "strerror", None) or str(error)
        return Fault(f"{self.name}: cannot be read ({why})")


class _Counted(io.RawIOBase):
    """The file of a log, which is told how much was read."""

    def __init__(self, file: io.FileIO, log: Log) -> None:
        self._file = file
        self._log = log
        self.size = os.fstat(file.fileno()).st_size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        count = self._file.readinto(buffer)
        self._log.advance(count or 0)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _nowhere(count: int) -> None:
    pass


_CHUNK = 1 << 19
# The limit of lines and of delays by unfinished messages (bytes), far above that of the daemon.
_LONGEST = 1 << 20

# A Line is one that looks like a failure, but fits no pattern.
Found = LogEvent | Line


class Run(NamedTuple):
    """What was found in a row. at: when the first of it happened if it does not say so (epoch)."""

    at: float
    log: str
    source: str
    found: Sequence[Found]


class Readable(Protocol):
    """An open log."""

    name: str

    def read(self, size: int) -> bytes: ...


class Reading:
    """Reads logs with the filters of all sources.

    lines: how many were read so far.
    """

    def __init__(self, filters: Mapping[str, FilterSet]) -> None:
        self.lines = 0
        self._filters = filters
        self._odd: list[tuple[str, Line]] = []

    def read(self, logs: Sequence[Readable]) -> Iterator[Run]:
        """Logs from start to end; a last line without LF counts too."""
        now = time.time()
        if len(logs) == 1:
            return self._runs(logs[0], now)
        return merge(*(_singly(self._runs(log, now)) for log in logs), key=itemgetter(0))

    def _runs(self, log: Readable, now: float) -> Iterator[Run]:
        """What is found in one log, in its order."""
        at, number = now, 1
        for block in _blocks(log):
            for source, found in self._found(block, now, number):
                yield Run(at, log.name, source, found)
                at = next((one.at for one in reversed(found) if one.at is not None), at)
            lines = block.count(b"\n") + (not block.endswith(b"\n"))
            number += lines
            self.lines += lines

    def _found(self, block: bytes, now: float, number: int) -> Iterator[tuple[str, list[Found]]]:
        """What all sources find in whole lines, the first of which has this number."""
        every: list[tuple[str, Found]] = []
        for source, filters in self._filters.items():
            found: list[Found] = list(
                filters.read(block, now, number, partial(self._note_odd, source))
            )
            if len(self._filters) == 1 and not self._odd:
                yield source, found
                return
            every += ((source, one) for one in found)
        if self._odd:
            # Lines of one server look odd to another one's filters, if both write into one log.
            odd = {line.number: (source, line) for source, line in self._odd if self._is_odd(line)}
            every += odd.values()
            self._odd.clear()
        every.sort(key=lambda one: one[1].number)
        for source, group in groupby(every, key=itemgetter(0)):
            yield source, [one for _, one in group]

    def _is_odd(self, line: Line) -> bool:
        every = (one for filters in self._filters.values() for one in filters.filters)
        return not any(one.match(line) for one in every)

    def _note_odd(self, source: str, line: Line) -> None:
        self._odd.append((source, line))


def _singly(runs: Iterator[Run]) -> Iterator[Run]:
    """Runs of one finding each, so that those of several logs can be put in order."""
    for at, log, source, every in runs:
        for found in every:
            if found.at is not None:
                at = found.at
            yield Run(at, log, source, (found,))


def _blocks(log: Readable) -> Iterator[bytes]:
    """A log in pieces of whole messages, each in one line."""
    rest, skipping = b"", 0
    while chunk := log.read(_CHUNK):
        data = rest + chunk
        lines, end, skipping = split_messages(data, 0, skipping, _LONGEST, keep_numbers=True)
        if lines:
            yield text_of(lines)
        rest = data[end:]
    if rest or skipping & SKIPPING_LINE:
        rest += b"\n"
        lines, end, _ = split_messages(rest, 0, skipping, _LONGEST, keep_numbers=True)
        # The parts of messages without an end are empty lines.
        yield text_of(lines + b"\n" * rest.count(b"\n", end))

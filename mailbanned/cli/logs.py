"""Opens the logs that `mailbanned test` is given, and shows how far it has read in them."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

from mailbanned.cli.shared import Fault, shown

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
            from mailbanned.cli.screen import reading

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

"""Finds where to start in a log that is read for the first time: at its first recent line.

Bisects by byte offset, because a log is in the order of time: that takes a few dozen small reads,
whatever its size. When in doubt, lines are read: a line without a time stamp never moves the start
forward.

Known limits: if the clock was set back within the log, the result may be earlier or later than a
check of every line would give.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

ReadAt = Callable[[int, int], Awaitable[bytes]]

#: How many bytes are read for a first try to find a line, and for a second one.
_WINDOW_BYTES, _MAX_WINDOW_BYTES = 4096, 64 * 1024
#: How many lines in a row may lack a time stamp.
_MAX_LINES = 100


class LineAge(Protocol):
    """Judges lines by their time stamps."""

    def has_timestamp(self, line: bytes) -> bool:
        """Whether a line has a time stamp."""
        ...

    def is_expired(self, line: bytes) -> bool:
        """Whether a line is too old to count; False if it has no time stamp."""
        ...


async def find_start_offset(read_at: ReadAt, size: int, line_age: LineAge) -> int:
    """The offset of the first line that is not expired, else of the end of the last whole line.

    read_at: reads (offset, bytes). Raises what that raises.
    """
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        end = await _end_of_expired_line(read_at, middle, line_age)
        if end is None:
            high = middle
        else:
            low = end
    return low


async def _end_of_expired_line(read_at: ReadAt, offset: int, line_age: LineAge) -> int | None:
    """The end of the first line with a time stamp from the offset on, None if not expired."""
    begin = max(0, offset - 1)
    size = _WINDOW_BYTES
    while True:
        window = await read_at(begin, size)
        # The first piece is the end of an earlier line (or its LF), the last one has no LF yet.
        pieces = window.split(b"\n")
        skipped = 0 if offset == 0 else len(pieces.pop(0)) + 1
        for line in pieces[:-1][:_MAX_LINES]:
            skipped += len(line) + 1
            if line_age.is_expired(line):
                return begin + skipped
            if line_age.has_timestamp(line):
                return None
        if len(pieces) > _MAX_LINES or len(window) < size or size >= _MAX_WINDOW_BYTES:
            return None
        size = _MAX_WINDOW_BYTES

"""Where to begin in a log that is read for the first time: at its first line that still counts.

Bisects on byte offsets, since a log is in the order of time: a few dozen small reads, whatever
its size. What cannot be told is read: lines without a time stamp never move the start forward.
Known limit: behind a clock that was set back, it may begin later or earlier than a look at every
line would.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

ReadAt = Callable[[int, int], Awaitable[bytes]]
#: Whether a line is too old to count; None if it has no time stamp.
TooOld = Callable[[bytes], bool | None]

_WINDOW = 4096
_MAX_WINDOW = 64 * 1024
_MAX_LINES = 100


async def find_start_offset(read_at: ReadAt, size: int, too_old: TooOld) -> int:
    """The offset of the first line that is not too old, or of the end of the last whole line.

    read_at: reads (offset, bytes). Raises what that raises.
    """
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        end = await _end_of_old_line(read_at, middle, too_old)
        if end is None:
            high = middle
        else:
            low = end
    return low


async def _end_of_old_line(read_at: ReadAt, offset: int, too_old: TooOld) -> int | None:
    """The end of the first stamped line that begins at or after the offset, if it is too old."""
    begin = max(0, offset - 1)
    size = _WINDOW
    while True:
        window = await read_at(begin, size)
        # The first piece is the end of an earlier line (or its LF), the last one has no LF yet.
        pieces = window.split(b"\n")
        skipped = 0 if offset == 0 else len(pieces.pop(0)) + 1
        for line in pieces[:-1][:_MAX_LINES]:
            skipped += len(line) + 1
            verdict = too_old(line)
            if verdict is not None:
                return begin + skipped if verdict else None
        if len(pieces) > _MAX_LINES or len(window) < size or size >= _MAX_WINDOW:
            return None
        size = _MAX_WINDOW

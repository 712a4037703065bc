"""One open log file, read on from a position.

Every read begins a little before the position and compares: a file that was emptied or written
anew, even one that has since grown beyond the position, is noticed before a byte of it is taken
for new. Of a backlog more is read at once than is handed out, which then comes out first.

Known limit: a file that is written anew with the very same bytes before the position passes for
the old one. In a log with time stamps that does not happen.
"""

from __future__ import annotations

import os

from mailbanned.sources.lines import messages
from mailbanned.sources.marks import TAIL_BYTES, Identity, Mark, fingerprint
from mailbanned.sources.raw import Packed, Raw, open_raw

#: How much is handed out at once.
CHUNK_BYTES = 256 * 1024
#: So many times as much may be read at once: every read costs a visit of a thread.
AHEAD = 4


class Rewritten(Exception):
    """What stood before the position is gone: the file was emptied or written anew."""


class Tail:
    """A log file and the position up to which its lines were handed out.

    raw: the bytes of the file.
    packed: its bytes are what was packed into it; nothing will be added.
    seated: whether it has a position already.
    offset: the position.
    at_end: whether the last read came to the end of the file.
    rest: how many bytes behind the position were no whole line at the last read.
    Methods raise OSError when the file system fails, and Unpackable.
    """

    def __init__(self, raw: Raw) -> None:
        status = raw.status()
        self.identity: Identity = (status.st_dev, status.st_ino)
        self.packed = isinstance(raw, Packed)
        self.raw = raw
        self.seated = False
        self.at_end = False
        self.offset = 0
        self.rest = 0
        self._before = b""
        self._expected = b""
        self._inside = 0
        # What was read ahead, and where it begins.
        self._buffer, self._buffer_at = b"", 0
        self._seen = (0, 0)
        self._written = status.st_mtime_ns
        self._mark: Mark | None = None

    @classmethod
    async def open(cls, path: str, packed: bool = False) -> Tail:
        """Opens the file that the path leads to now; OSError also if it is no regular file."""
        return cls(await open_raw(path, packed))

    def lag(self) -> int:
        """How many bytes of it are not handed out yet; of a packed file, as it is packed."""
        return self.raw.behind(self.offset)

    def mark(self, path: str) -> Mark:
        """Where reading resumes, for the log that is expected at this path."""
        if self._mark is None or self._mark.path != path:
            tail = fingerprint(self._before)
            self._mark = Mark(path, *self.identity, self.offset, tail, self._inside, self._written)
        return self._mark

    async def seat(self, offset: int) -> None:
        """Takes a position, which is the start of a line."""
        back = min(offset, TAIL_BYTES)
        self._settle(offset, await self.raw.read_at(offset - back, back), 0)

    async def resume(self, mark: Mark) -> bool:
        """Takes the position of a mark, if this is the file of the mark or a copy of it.

        A mark at the start of a file says nothing about it, and so is never taken.
        """
        if mark.offset == 0:
            return False
        back = min(mark.offset, TAIL_BYTES)
        before = await self.raw.read_at(mark.offset - back, back)
        if fingerprint(before) != mark.tail:
            return False
        self._settle(mark.offset, before, mark.inside)
        self._written = mark.written
        return True

    def unseat(self) -> None:
        """Gives up the position: what was before it is no longer there."""
        self._settle(0, b"", 0)
        self.seated, self._expected = False, b""

    def expect(self, head: bytes) -> None:
        """If the file does not begin with this when it is first read, it was written anew."""
        self._expected = head

    def _settle(self, offset: int, before: bytes, inside: int) -> None:
        self._buffer, self._buffer_at = b"", 0
        self.offset, self._before, self._inside = offset, before, inside
        self.seated, self.at_end, self.rest = True, False, 0
        self._mark = None

    @property
    def unfinished(self) -> bool:
        """Whether the last read ended inside a line."""
        return self.rest > 0 or bool(self._inside)

    def has_more(self) -> bool:
        """Whether the end was not reached yet, or the file changed since."""
        return not self.at_end or _shape(self.raw.status()) != self._seen

    async def read(self, ahead: int = 1) -> bytes:
        """The next whole lines, b"" if there are none (yet). Raises Rewritten.

        ahead: if the log is that many chunks behind, so many may be read at once.
        """
        back = len(self._before)
        data, buffered = await self._next(self.offset - back, back + CHUNK_BYTES, ahead)
        if not data.startswith(self._before or self._expected):
            raise Rewritten
        self.at_end = len(data) < back + CHUNK_BYTES and not buffered and not self.raw.broken
        self._written, self._mark = self._seen[1], None
        lines, end, self._inside = messages(data, back, self._inside)
        self.rest = len(data) - end
        if end > back:
            self.offset += end - back
            self._before = data[max(0, end - TAIL_BYTES) : end]
        else:
            self._buffer = b""  # what is left there is no whole message
        return lines

    async def _next(self, offset: int, size: int, ahead: int) -> tuple[bytes, bool]:
        """Bytes of the file; whether they had been read before, and the file may have changed."""
        begin = offset - self._buffer_at
        if begin + TAIL_BYTES < len(self._buffer):
            return self._buffer[begin : begin + size], True
        self._buffer, self._seen = b"", _shape(self.raw.status())
        if self.packed or ahead == 1 or self.lag() < ahead * CHUNK_BYTES:
            return await self.raw.read_at(offset, size), False
        self._buffer, self._buffer_at = await self.raw.read_at(offset, ahead * size), offset
        return self._buffer[:size], False


def _shape(status: os.stat_result) -> tuple[int, int]:
    """Size and time of the last change: one of them is another after every change of the file."""
    return status.st_size, status.st_mtime_ns

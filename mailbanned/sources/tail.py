"""One open log file, read on from a position; the only file with aiofiles.

The file is held by its descriptor, so neither renaming nor deleting it loses a line. Every read
begins a little before the position and compares: a file that was emptied or written anew, even
one that has since grown beyond the position, is noticed before a byte of it is taken for new.

Known limit: a file that is written anew with the very same bytes before the position passes for
the old one. In a log with time stamps that does not happen.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO

from mailbanned.sources.lines import cut
from mailbanned.sources.marks import TAIL_BYTES, Identity, Mark, fingerprint

CHUNK_BYTES = 256 * 1024


class Rewritten(Exception):
    """What stood before the position is gone: the file was emptied or written anew."""


class Tail:
    """A log file and the position up to which its lines were handed out.

    seated: whether it has a position already.
    at_end: whether the last read came to the end of the file.
    Methods raise OSError when the file system fails.
    """

    def __init__(self, file: AsyncFileIO, identity: Identity) -> None:
        self.identity = identity
        self.seated = False
        self.at_end = False
        self._file = file
        self._offset = 0
        self._before = b""
        self._inside = False
        self._seen: tuple[int, int] | None = None
        self._mark: Mark | None = None

    @classmethod
    async def open(cls, path: str) -> Tail:
        """Opens the file that the path leads to now; OSError also if it is no regular file."""
        opening = asyncio.ensure_future(
            aiofiles.open(path, "rb", buffering=0, opener=_without_blocking)
        )
        try:
            file = await asyncio.shield(opening)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):  # the thread cannot be cancelled: it opens anyway
                await (await opening).close()
            raise
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            await file.close()
            raise OSError(errno.EINVAL, "no regular file")
        return cls(file, (status.st_dev, status.st_ino))

    async def close(self) -> None:
        """Lets go of the file, even if the caller is cancelled meanwhile."""
        await asyncio.shield(self._file.close())

    def status(self) -> os.stat_result:
        """Size, times and links of the file as they are now."""
        return os.fstat(self._file.fileno())

    def lag(self) -> int:
        """How many bytes of it are not handed out yet."""
        return max(0, self.status().st_size - self._offset)

    def mark(self, path: str) -> Mark:
        """Where reading resumes, for the log that is expected at this path."""
        if self._mark is None or self._mark.path != path:
            tail = fingerprint(self._before)
            self._mark = Mark(path, *self.identity, self._offset, tail, self._inside)
        return self._mark

    async def seat(self, offset: int, inside: bool = False) -> None:
        """Takes a position: the start of a line, or a place inside one that is left out."""
        back = min(offset, TAIL_BYTES)
        self._settle(offset, await self.read_at(offset - back, back), inside)

    async def resume(self, mark: Mark) -> bool:
        """Takes the position of a mark, if this is the file of the mark or a copy of it."""
        if mark.offset == 0 and mark.identity != self.identity:
            return False
        back = min(mark.offset, TAIL_BYTES)
        before = await self.read_at(mark.offset - back, back)
        if fingerprint(before) != mark.tail:
            return False
        self._settle(mark.offset, before, mark.inside)
        return True

    def _settle(self, offset: int, before: bytes, inside: bool) -> None:
        self._offset, self._before, self._inside = offset, before, inside
        self.seated, self.at_end = True, False
        self._mark = None

    def has_more(self) -> bool:
        """Whether the end was not reached yet, or the file changed since."""
        return not self.at_end or self._shape() != self._seen

    async def read(self) -> bytes:
        """The next whole lines, b"" if there are none (yet). Raises Rewritten."""
        shape = self._shape()
        back = len(self._before)
        data = await self.read_at(self._offset - back, back + CHUNK_BYTES)
        if not data.startswith(self._before):
            self.seated = self.at_end = False
            raise Rewritten
        self.at_end, self._seen = len(data) < back + CHUNK_BYTES, shape
        lines, end, inside = cut(data, back, self._inside)
        if end > back:
            self._offset, self._inside = self._offset + end - back, inside
            self._before = data[max(0, end - TAIL_BYTES) : end]
            self._mark = None
        return lines

    async def read_at(self, offset: int, size: int) -> bytes:
        """Bytes of the file; fewer than `size` only at its end."""
        os.lseek(self._file.fileno(), offset, os.SEEK_SET)
        return await self._file.read(size)

    def _shape(self) -> tuple[int, int]:
        """What is different after every change of the file."""
        status = self.status()
        return status.st_size, status.st_mtime_ns


def _without_blocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)

"""The bytes of one log file, plain or compressed with gzip; the only file with aiofiles.

An open file is held by its descriptor, so neither renaming nor deleting it loses a byte. Opening
never blocks, and anything but a regular file is refused. A compressed file is decompressed as a
stream, piece by piece, in a thread, so memory stays bounded whatever its size.

Known limits: a compressed file is read forward; going back by more than some hundred bytes means to
decompress it from its start. One with several members, or with more than 4 GB of data, states a
length that is too small; if it was read in part before, the rest of it is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import os
import stat
import zlib
from collections.abc import Awaitable
from typing import TypeVar

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO

from mailbanned.sources.file.checkpoint import TAIL_BYTES
from mailbanned.sources.health import Problem, unreadable

T = TypeVar("T")

_PIECE_BYTES = 256 * 1024


class DecompressError(OSError):
    """A compressed file is damaged, or not compressed with gzip."""


def read_problem(path: str, error: OSError) -> Problem:
    """The problem of a log that cannot be opened or read."""
    if isinstance(error, DecompressError):
        text = f"{path} cannot be decompressed ({error}); the rest of it is lost"
        return Problem("unreadable", text)
    return unreadable(path, error)


class PlainFile:
    """The bytes of an open file. Methods raise OSError when the file system fails.

    is_broken: whether the last read ended before bytes that cannot be decompressed; a read that
        begins there raises DecompressError.
    """

    is_broken = False

    def __init__(self, file: AsyncFileIO) -> None:
        self._file = file

    def status(self) -> os.stat_result:
        """Size, times and links of the file as they are now."""
        return os.fstat(self._file.fileno())

    def bytes_after(self, offset: int) -> int:
        """How many bytes follow an offset now; of a compressed file, compressed bytes."""
        return max(0, self.status().st_size - offset)

    def next_data(self, offset: int) -> int:
        """The offset of the next byte outside a hole, from an offset on; holes hold only NULs."""
        try:
            return os.lseek(self._file.fileno(), offset, os.SEEK_DATA)
        except OSError:  # there is none, or the file system does not support it
            return offset

    async def length(self) -> int:
        """How many bytes can be read; of a compressed file, as its trailer states (see above)."""
        return self.status().st_size

    async def read_at(self, offset: int, size: int) -> bytes:
        """Bytes of the file; fewer than `size` only at its end and before damaged data."""
        os.lseek(self._file.fileno(), offset, os.SEEK_SET)
        return await finish_if_cancelled(self._file.read(size))

    async def close(self) -> None:
        """Closes the file, even if the caller is cancelled meanwhile."""
        await finish_if_cancelled(self._file.close())


class GzipFile(PlainFile):
    """As PlainFile, for the decompressed bytes of a compressed file."""

    def __init__(self, file: AsyncFileIO) -> None:
        super().__init__(file)
        self._compressed = open(file.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115
        self._stream = gzip.GzipFile(fileobj=self._compressed)
        self._kept = b""  # the last bytes that were decompressed
        self._at = 0  # the offset of their end

    def bytes_after(self, offset: int) -> int:
        return max(0, self.status().st_size - self._compressed.tell())

    def next_data(self, offset: int) -> int:
        return offset

    async def length(self) -> int:
        return await finish_if_cancelled(asyncio.to_thread(self._stated_length))

    def _stated_length(self) -> int:
        # The trailer of gzip has the length of the last member modulo 2**32.
        end = os.pread(self._compressed.fileno(), 4, max(0, self.status().st_size - 4))
        return int.from_bytes(end, "little")

    async def read_at(self, offset: int, size: int) -> bytes:
        if offset < self._at - len(self._kept):
            self._stream.seek(0)
            self._kept, self._at, self.is_broken = b"", 0, False
        started_at = self._at
        while self._at < offset + size:
            try:
                piece = await finish_if_cancelled(
                    asyncio.to_thread(self._decompress, offset + size - self._at)
                )
            except DecompressError:
                self.is_broken = True
                if self._at == started_at:
                    raise
                break  # the bytes before the damaged part are good
            if not piece:
                break
            self._at += len(piece)
            self._keep(self._kept + piece, min(offset, self._at - TAIL_BYTES))
        begin = len(self._kept) - (self._at - offset)
        return self._kept[begin : begin + size]

    def _keep(self, data: bytes, begin: int) -> None:
        """Keeps the last decompressed bytes, those from the offset `begin` on."""
        self._kept = data[max(0, begin - (self._at - len(data))) :]

    def _decompress(self, size: int) -> bytes:
        """Up to `size` of the next bytes, b"" at the end."""
        try:
            return self._stream.read1(min(size, _PIECE_BYTES))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DecompressError(str(error)) from None


async def open_log(path: str, compressed: bool = False) -> PlainFile:
    """Opens the file at a path. Raises OSError, also if it is not a regular file."""
    opening = asyncio.ensure_future(
        aiofiles.open(path, "rb", buffering=0, opener=_without_blocking)
    )
    try:
        file = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # The thread cannot be cancelled and opens the file anyway, so the file has to be closed,
        # even if a second cancellation comes.
        await finish_if_cancelled(_close_when_opened(opening))
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        await finish_if_cancelled(file.close())
        raise OSError(errno.EINVAL, "no regular file")
    return GzipFile(file) if compressed else PlainFile(file)


async def _close_when_opened(opening: asyncio.Future[AsyncFileIO]) -> None:
    with contextlib.suppress(OSError):
        await (await opening).close()


def _without_blocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


async def finish_if_cancelled(work: Awaitable[T]) -> T:
    """Awaits work on an open file to its end, however often the caller is cancelled.

    The thread that does the work cannot be stopped.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would log it as unhandled
        raise

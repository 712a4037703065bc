"""The bytes of one log file, plain or packed with gzip; the only file with aiofiles.

A file is held by its descriptor, so neither renaming nor deleting it loses a byte. Opening never
blocks, and what is no regular file is refused. A packed file is unpacked as a stream, a piece at a
time, in a thread: whatever its size, little of it is in memory.

Known limits: a packed file is read forward; going back by more than some hundred bytes means to
unpack it again. One that was made of several packed files, or holds more than 4 GB, states a length
that is too small; if it was read in part before, the rest of it is passed over.
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

T = TypeVar("T")

_PIECE = 256 * 1024


class DecompressError(OSError):
    """A packed file is broken, or it is packed in a way that is not known here."""


class PlainFile:
    """The bytes of an open file. Methods raise OSError when the file system fails.

    is_broken: a part of the bytes cannot be had; reading on from where it begins raises Unpackable.
    """

    is_broken = False

    def __init__(self, file: AsyncFileIO) -> None:
        self._file = file

    def status(self) -> os.stat_result:
        """Size, times and links of the file as they are now."""
        return os.fstat(self._file.fileno())

    def bytes_after(self, offset: int) -> int:
        """How many bytes stand behind an offset now; of a packed file, as it is packed."""
        return max(0, self.status().st_size - offset)

    def next_data(self, offset: int) -> int:
        """Where the next bytes are that were written, from an offset on; holes hold only NULs."""
        try:
            return os.lseek(self._file.fileno(), offset, os.SEEK_DATA)
        except OSError:  # there are none, or the file system cannot tell
            return offset

    async def length(self) -> int:
        """How many bytes can be read; of a packed file, as its end says, which may be wrong."""
        return self.status().st_size

    async def read_at(self, offset: int, size: int) -> bytes:
        """Bytes of the file; fewer than `size` only at its end, and before a broken part."""
        os.lseek(self._file.fileno(), offset, os.SEEK_SET)
        return await finish_if_cancelled(self._file.read(size))

    async def close(self) -> None:
        """Lets go of the file, even if the caller is cancelled meanwhile."""
        await finish_if_cancelled(self._file.close())


class GzipFile(PlainFile):
    """As Raw, for the bytes that were packed into a file."""

    def __init__(self, file: AsyncFileIO) -> None:
        super().__init__(file)
        self._packed = open(file.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115
        self._stream = gzip.GzipFile(fileobj=self._packed)
        self._kept = b""  # the last bytes that were unpacked
        self._at = 0  # the offset of their end

    def bytes_after(self, offset: int) -> int:
        return max(0, self.status().st_size - self._packed.tell())

    def next_data(self, offset: int) -> int:
        return offset

    async def length(self) -> int:
        return await finish_if_cancelled(asyncio.to_thread(self._stated_length))

    def _stated_length(self) -> int:
        # gzip writes the length modulo 2**32 of the last of the files that were packed.
        end = os.pread(self._packed.fileno(), 4, max(0, self.status().st_size - 4))
        return int.from_bytes(end, "little")

    async def read_at(self, offset: int, size: int) -> bytes:
        if offset < self._at - len(self._kept):
            self._stream.seek(0)
            self._kept, self._at, self.is_broken = b"", 0, False
        begun_at = self._at
        while self._at < offset + size:
            try:
                piece = await finish_if_cancelled(
                    asyncio.to_thread(self._unpack, offset + size - self._at)
                )
            except DecompressError:
                self.is_broken = True
                if self._at == begun_at:
                    raise
                break  # what stands before the broken part is good
            if not piece:
                break
            self._at += len(piece)
            self._keep(self._kept + piece, min(offset, self._at - TAIL_BYTES))
        begin = len(self._kept) - (self._at - offset)
        return self._kept[begin : begin + size]

    def _keep(self, unpacked: bytes, begin: int) -> None:
        """Keeps the last bytes that were unpacked, those from the offset `begin` on."""
        self._kept = unpacked[max(0, begin - (self._at - len(unpacked))) :]

    def _unpack(self, size: int) -> bytes:
        """Some of the next bytes, b"" at the end."""
        try:
            return self._stream.read1(min(size, _PIECE))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DecompressError(str(error)) from None


async def open_log(path: str, packed: bool = False) -> PlainFile:
    """Opens the file that the path leads to now; OSError also if it is no regular file."""
    opening = asyncio.ensure_future(
        aiofiles.open(path, "rb", buffering=0, opener=_without_blocking)
    )
    try:
        file = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # The thread cannot be cancelled: it opens anyway. Nor must a second cancellation leave it.
        await finish_if_cancelled(_let_go(opening))
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        await finish_if_cancelled(file.close())
        raise OSError(errno.EINVAL, "no regular file")
    return GzipFile(file) if packed else PlainFile(file)


async def _let_go(opening: asyncio.Future[AsyncFileIO]) -> None:
    with contextlib.suppress(OSError):
        await (await opening).close()


def _without_blocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


async def finish_if_cancelled(work: Awaitable[T]) -> T:
    """Waits for work with an open file even if cancelled, however often: a thread at it cannot be
    stopped.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody else asks for it
        raise

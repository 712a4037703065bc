"""One open log file, read on from a position.

Every read begins a little before the position and compares those bytes: a file that was emptied and
written to again, even beyond the position, is detected before a byte of it is taken for new. While
behind, it reads ahead more than one chunk, and hands that out first.

Known limits: a file that still begins as it did, but has other bytes before the position, was
edited or damaged. It is read on at the position, or at its end if it became shorter: lines may be
missed, but none is read twice.
"""

from __future__ import annotations

import os

from mailbanned.logformat.messages import SKIPPING_LINE, split_messages
from mailbanned.sources.file.checkpoint import (
    HEAD_BYTES,
    TAIL_BYTES,
    Checkpoint,
    Head,
    Identity,
    fingerprint,
    new_key,
)
from mailbanned.sources.file.rawfile import GzipFile, PlainFile, open_log

#: How much is handed out at once, in bytes.
CHUNK_BYTES = 256 * 1024
#: Read-ahead factor while behind: every read costs a switch to a thread and back.
AHEAD = 4
#: How far into a file its first line is searched behind NUL bytes, and in which steps (bytes).
_LONGEST_HOLE = 1 << 40
_LONGEST_COMPRESSED_HOLE = 1 << 24  # it is decompressed each time
_HOLE_BYTES = 1 << 20


class Rewritten(Exception):
    """The file does not begin as it did: it was emptied, and perhaps written to again."""


class Tail:
    """A log file and the position up to which its lines were handed out.

    raw: the bytes of the file.
    compressed: whether the file is compressed; then nothing is added to it.
    positioned: whether it has a position.
    offset: the position.
    head: how it begins, as far as it was handed out; NUL bytes at its start do not count.
    first_bytes: its first bytes as they were read, before the first lines are handed out.
    at_end: whether the last read reached the end of the file.
    partial_bytes: how many bytes after the position were no complete line at the last read.
    Methods raise OSError when the file system fails, and DecompressError.
    """

    def __init__(self, raw: PlainFile, chunk_bytes: int = CHUNK_BYTES) -> None:
        status = raw.status()
        self.identity: Identity = (status.st_dev, status.st_ino)
        self.compressed = isinstance(raw, GzipFile)
        self.raw = raw
        self.positioned = False
        self.at_end = False
        self.offset = 0
        self.head = Head()
        self.first_bytes = b""
        self.partial_bytes = 0
        self._chunk_bytes = chunk_bytes
        self._key = ""
        self._before = b""
        self._expected = b""
        self._skipping = 0
        self._start = b""
        # What was read ahead, and its offset.
        self._buffer, self._buffer_at = b"", 0
        self._seen_shape = (0, 0)
        self._mtime_ns = status.st_mtime_ns
        self._checkpoint: Checkpoint | None = None

    @classmethod
    async def open(
        cls, path: str, compressed: bool = False, chunk_bytes: int = CHUNK_BYTES
    ) -> Tail:
        """Opens the file at a path. Raises OSError, also if it is not a regular file."""
        return cls(await open_log(path, compressed), chunk_bytes)

    def lag(self) -> int:
        """How many bytes are not handed out yet; of a compressed file, compressed bytes."""
        return self.raw.bytes_after(self.offset)

    def checkpoint(self, path: str) -> Checkpoint | None:
        """The checkpoint, for the log expected at this path; None if nothing was read."""
        if not self.positioned or not self.offset or not self.head.hashes:
            return None
        if self._checkpoint is None or self._checkpoint.path != path:
            self._key = self._key or new_key(self.identity[1], self._mtime_ns, self.head)
            self._checkpoint = Checkpoint(
                key=self._key,
                path=path,
                device=self.identity[0],
                inode=self.identity[1],
                head=self.head,
                offset=self.offset,
                tail=fingerprint(self._before),
                skipping=self._skipping,
                mtime_ns=self._mtime_ns,
                at_end=self.at_end,
                compressed=self.compressed,
            )
        return self._checkpoint

    @property
    def has_read(self) -> bool:
        """Whether lines of it were handed out, or skipped as expired."""
        return bool(self.head.hashes)

    async def was_emptied(self) -> bool:
        """Whether it is shorter than its position, and does not begin as it did."""
        shorter = not self.compressed and self.raw.status().st_size < self.offset
        return shorter and not self.head.is_all_there(await self.beginning())

    async def beginning(self) -> bytes:
        """The present first bytes of the file, without leading NUL bytes."""
        return (await self._beginning())[1]

    async def _beginning(self) -> tuple[int, bytes]:
        """The offset of the first byte that is not NUL, and the bytes from there on."""
        start, data = 0, await self.raw.read_at(0, HEAD_BYTES)
        longest = _LONGEST_COMPRESSED_HOLE if self.compressed else _LONGEST_HOLE
        while data.startswith(b"\0") and start < longest:
            nuls = len(data) - len(data.lstrip(b"\0"))
            start = max(start + nuls, self.raw.next_data(start))
            data = await self.raw.read_at(start, HEAD_BYTES if nuls < len(data) else _HOLE_BYTES)
        return start, b"" if data.startswith(b"\0") else data[:HEAD_BYTES]

    async def set_start(self, offset: int) -> None:
        """Sets the position to the start of a line."""
        self._set_position(offset, await self._before_position(offset), 0)
        await self._read_head(Head())

    async def resume(self, checkpoint: Checkpoint) -> bool:
        """Sets the position to a checkpoint; returns False if the bytes before it differ."""
        before = await self._before_position(checkpoint.offset)
        if fingerprint(before) != checkpoint.tail:
            return False
        self._set_position(checkpoint.offset, before, checkpoint.skipping)
        self._key, self._mtime_ns = checkpoint.key, checkpoint.mtime_ns
        await self._read_head(checkpoint.head)
        return True

    async def resume_nearby(self, checkpoint: Checkpoint) -> bool:
        """Sets the position to a checkpoint in a file that was edited or damaged since.

        If the file is shorter now, to its end. A line that the position cuts is skipped. Returns
        False if the file does not begin as it did: then it is another one.
        """
        offset = min(checkpoint.offset, await self.raw.length())
        before = await self._before_position(offset)
        # Read last: a file that was emptied meanwhile does not begin as it did. One emptied later
        # is identified by these bytes, of which only the first lines may be the checkpoint's.
        at, beginning = await self._beginning()
        if not checkpoint.head.fits(beginning) or len(before) < min(offset, TAIL_BYTES):
            return False
        whole = not before or before.endswith((b"\n", b"\0"))
        self._set_position(offset, before, 0 if whole else SKIPPING_LINE)
        self._key = checkpoint.key
        self._start = beginning[: max(0, offset - at)]
        self.head = Head.of(self._start)
        return True

    async def _read_head(self, head: Head) -> None:
        """Reads how the file begins, up to the position, unless that is known."""
        if not head.complete and self.offset:
            at, data = await self._beginning()
            self._start = data[: max(0, self.offset - at)]
            read = Head.of(self._start)
            # A file that was emptied in this moment is identified by how it began.
            emptied = head.hashes and not head.fits(self._start)
            head = Head(head.hashes, complete=True) if emptied else read
        self.head = head

    async def _before_position(self, offset: int) -> bytes:
        back = min(offset, TAIL_BYTES)
        return await self.raw.read_at(offset - back, back)

    def give_up_position(self) -> None:
        """Resets to no position, as before the first read."""
        self._set_position(0, b"", 0)
        self.positioned, self._expected, self._key = False, b"", ""
        self.head, self._start, self.first_bytes = Head(), b"", b""

    @property
    def expected(self) -> bytes:
        """The beginning that the file has to have when it is first read."""
        return self._expected

    def expect(self, beginning: bytes) -> None:
        """If the file does not begin with this when it is first read, it was emptied meanwhile."""
        self._expected = beginning

    def _set_position(self, offset: int, before: bytes, inside: int) -> None:
        self._buffer, self._buffer_at = b"", 0
        self.offset, self._before, self._skipping = offset, before, inside
        self.positioned, self.at_end, self.partial_bytes = True, False, 0
        self._checkpoint = None

    @property
    def has_partial_message(self) -> bool:
        """Whether the last read ended inside a message."""
        return self.partial_bytes > 0 or bool(self._skipping)

    def has_more(self) -> bool:
        """Whether the end was not reached yet, or the file has changed since."""
        return not self.at_end or _shape(self.raw.status()) != self._seen_shape

    async def read(self, ahead: int = 1) -> bytes:
        """The next whole lines, b"" if there are none. Raises Rewritten.

        ahead: how many chunks may be read at once, if the log is that many behind.
        """
        back, size = len(self._before), len(self._before) + self._chunk_bytes
        data, buffered = await self._read_chunk(self.offset - back, size, ahead)
        to_the_end = len(data) < size and not buffered
        if not data.startswith(self._before) or not self._is_expected(data[back:], to_the_end):
            await self._recover_edited()
            return b""
        self.at_end = to_the_end and not self.raw.is_broken
        self._mtime_ns, self._checkpoint = self._seen_shape[1], None
        lines, end, self._skipping = split_messages(data, back, self._skipping)
        self.partial_bytes = len(data) - end
        if end > back:
            if not self.head.complete:
                self._start = (self._start + data[back:end]).lstrip(b"\0")[:HEAD_BYTES]
                self.head = Head.of(self._start)
            self.offset += end - back
            self._before = data[max(0, end - TAIL_BYTES) : end]
        else:
            self._buffer = b""  # the rest of it is no complete message
        return lines

    def _is_expected(self, data: bytes, to_the_end: bool) -> bool:
        """Whether the first bytes of the file are those that were seen when it was planned."""
        if self.has_read:
            return True
        self.first_bytes = data = data.lstrip(b"\0")[:HEAD_BYTES]
        return data.startswith(self._expected) or (
            not to_the_end and self._expected.startswith(data)
        )

    async def _recover_edited(self) -> None:
        """Repositions in an edited file. Raises Rewritten if it is another one.

        Called when the bytes before the position have changed.
        """
        checkpoint = self.checkpoint("")
        if checkpoint is None or not checkpoint.head.is_all_there(await self.beginning()):
            raise Rewritten  # or edited within its first lines; the next plan decides
        if not await self.resume_nearby(checkpoint):
            raise Rewritten

    async def _read_chunk(self, offset: int, size: int, ahead: int) -> tuple[bytes, bool]:
        """Bytes of the file; and whether they were read ahead, so the file may have changed."""
        begin = offset - self._buffer_at
        if begin + TAIL_BYTES < len(self._buffer):
            return self._buffer[begin : begin + size], True
        self._buffer, self._seen_shape = b"", _shape(self.raw.status())
        if self.compressed or ahead == 1 or self.lag() < ahead * self._chunk_bytes:
            return await self.raw.read_at(offset, size), False
        self._buffer, self._buffer_at = await self.raw.read_at(offset, ahead * size), offset
        return self._buffer[:size], False


def _shape(status: os.stat_result) -> tuple[int, int]:
    """Size and mtime, of which at least one differs after every write to the file."""
    return status.st_size, status.st_mtime_ns

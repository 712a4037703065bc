"""Cuts whole lines out of a stretch of bytes, without looking at the lines one by one.

Lines end at LF and nowhere else: U+2028, NEL and a lone CR are text that an attacker may send.
Broken UTF-8 passes through untouched, and so do NUL bytes inside a line. Those in front of a line
are no part of it: they fill the hole that a power failure leaves behind, or a writer without
O_APPEND when its log is truncated. A line that is longer than the limit is left out, up to and with
its LF, and never held in memory. Of container logs whole messages are cut out, as containers.py
knows them: no position lies between two parts of a message.

Known limit: a message that is begun and not ended holds up what stands behind it, though not for
longer than the limit; then its parts are left out, up to and with the last one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mailbanned.containers import CRI, framed, part, plain

#: The longest line that is handed on, in bytes with its LF; also how far a message may reach.
MAX_LINE = 64 * 1024

# What is being left out at a position, as bits: the line that it is in, the messages of a stream.
INSIDE_LINE = 1
_STREAMS = {b"stdout": 2, b"stderr": 4}
_ANY_STREAM = 6
# So many bytes tell which runtime wrote a line, and for CRI what it is part of.
_HEAD = 64
_NO_NUL = re.compile(rb"[^\0]")


class Cut(NamedTuple):
    """What a stretch of bytes holds.

    lines: the whole lines in it, as they stand.
    end: how far into the stretch they reach; from there on it has to be given again with more.
    inside: whether `end` is inside a line that is being left out.
    """

    lines: bytes
    end: int
    inside: bool


def cut(data: bytes, start: int = 0, inside: bool = False, limit: int = MAX_LINE) -> Cut:
    """The whole lines in data[start:]. `inside`: it starts inside a line that is left out."""
    kept: list[bytes] = []
    begin = at = start
    if inside:
        begin = at = data.find(b"\n", start) + 1
        if not at:
            return Cut(b"", len(data), True)
    while len(data) - at > limit:
        last = data.rfind(b"\n", at, at + limit)
        if last >= 0:
            at = last + 1
            continue
        kept.append(data[begin:at])
        begin = at = data.find(b"\n", at + limit) + 1
        if not at:
            return Cut(b"".join(kept), len(data), True)
    end = max(at, data.rfind(b"\n", at) + 1)
    kept.append(data[begin:end])
    return Cut(b"".join(kept), end, False)


class Messages(NamedTuple):
    """As Cut, for whole messages. inside: what is being left out at `end`, 0 if nothing is.

    lines: each message in one line, as containers.plain gives them.
    """

    lines: bytes
    end: int
    inside: int


def messages(data: bytes, start: int = 0, inside: int = 0, limit: int = MAX_LINE) -> Messages:
    """The lines of the whole messages in data[start:]; lines left out of one are empty.

    inside: as it was returned for the position of `start`, 0 at the start of a message.
    """
    kept: list[bytes] = []
    while True:
        if not inside & INSIDE_LINE and data.startswith(b"\0", start):
            start = _behind_nuls(data, start)
        # Far faster than to look for both bytes at once, where there is no NUL at all.
        nul = data.find(b"\0", start)
        hole = -1 if nul < 0 else data.find(b"\n\0", max(start, nul - 1))
        if hole < 0:
            found = _messages(data, start, inside, limit)
            return found if not kept else found._replace(lines=b"".join((*kept, found.lines)))
        found = _messages(data[start : hole + 1], 0, inside, limit)
        kept.append(found.lines)
        start, inside = start + found.end, found.inside
        if start <= hole:  # a message that was not ended before the hole
            found = _messages(data, start, inside, limit)
            return found._replace(lines=b"".join((*kept, found.lines)))


def _behind_nuls(data: bytes, start: int) -> int:
    """The offset of the first byte from `start` on that is no NUL; of the end, if there is none."""
    found = _NO_NUL.search(data, start)
    return len(data) if found is None else found.start()


def _messages(data: bytes, start: int, inside: int, limit: int) -> Messages:
    """As `messages`, for data without NUL bytes in front of lines."""
    if inside <= INSIDE_LINE and framed(data, start) < 0:
        lines, end, cut_inside = cut(data, start, bool(inside), limit)
        return Messages(lines, end, INSIDE_LINE if cut_inside else 0)
    if inside & INSIDE_LINE:
        start = data.find(b"\n", start) + 1
        if not start:
            return Messages(b"", len(data), inside)
    found = _Found(inside & _ANY_STREAM, limit)
    while start < len(data):
        end = data.find(b"\n", start) + 1
        if (end or len(data)) - start > limit:
            found.overlong(data[start : start + _HEAD], end or len(data))
            if not end:
                return found.up_to(len(data), INSIDE_LINE)
        elif not end:
            break
        else:
            found.line(data[start:end], start)
        start = end
    return found.up_to(start)


class _Found:
    """The lines of a container log so far, and which of them belong to unfinished messages."""

    def __init__(self, left_out: int, limit: int) -> None:
        self._left_out = left_out
        self._limit = limit
        self._lines: list[bytes] = []
        # The lines of the messages that have not ended, by stream; and where the first of these
        # began, or of those that were interleaved with them: offset, line, what was left out.
        self._unfinished: dict[bytes, list[int]] = {}
        self._begin = (0, 0, 0)

    def line(self, line: bytes, offset: int) -> None:
        """The next line, with its LF."""
        self._give_up(offset + len(line))
        found = part(line[:-1])
        if found is not None:
            bit = _STREAMS[found.stream]
            if self._left_out & bit:
                line = b"\n"
            elif not found.final:
                if not self._unfinished:
                    self._begin = (offset, len(self._lines), self._left_out)
                self._unfinished.setdefault(found.stream, []).append(len(self._lines))
            if found.final:
                self._left_out &= ~bit
                self._unfinished.pop(found.stream, None)
        self._lines.append(line)

    def overlong(self, head: bytes, end: int) -> None:
        """The head of a line that is left out; if it is a part, its message is left out, too."""
        self._give_up(end)
        cri = CRI.match(head)
        if cri is None:
            # Of docker's lines the stream stands at their end, which may not be there yet.
            self._left_out |= _ANY_STREAM if framed(head) == 0 else 0
        elif cri[2] == b"F":
            self._left_out &= ~_STREAMS[cri[1]]
        else:
            self._left_out |= _STREAMS[cri[1]]

    def _give_up(self, end: int) -> None:
        """Leaves out the unfinished messages if what they hold up reaches too far."""
        if self._unfinished and end - self._begin[0] > self._limit:
            for stream, lines in self._unfinished.items():
                self._left_out |= _STREAMS[stream]
                for at in lines:
                    self._lines[at] = b"\n"
            self._unfinished.clear()

    def up_to(self, end: int, inside: int = 0) -> Messages:
        """All lines up to `end`, or up to where unfinished messages begin."""
        if self._unfinished:
            offset, line, left_out = self._begin
            return Messages(plain(b"".join(self._lines[:line])), offset, left_out)
        return Messages(plain(b"".join(self._lines)), end, self._left_out | inside)

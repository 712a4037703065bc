"""Which lines were written to which file, and which of them must be read.

The world keeps this beside the real files. A line must be handed on exactly once, unless the world
did to it what no reader can survive (copytruncate cut it off between copy and truncation); then it
may be missing, but still must not come twice.
"""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Line:
    """A line that was written whole. lineage: the file that it was first written to."""

    number: int
    lineage: int
    must: bool = True


@dataclass
class Lines:
    """All lines of a run.

    known: lines that were written whole, by their bytes.
    fragments: what a server added to a file in which the start of the line was cut off before.
    """

    known: dict[bytes, Line] = field(default_factory=dict)
    fragments: set[bytes] = field(default_factory=set)
    committed: set[int] = field(default_factory=set)
    last: int = 0

    def new(self, filler: int) -> tuple[int, bytes]:
        """The next line, which nothing has written yet. No part of it is like another line's."""
        self.last += 1
        return self.last, b"%07d" % self.last + (b".%d" % self.last * filler)[:filler] + b"\n"


@dataclass(eq=False)
class Content:
    """The lines in a file, each with the offset of its end.

    uncertain: lines that begin before this offset may be missed: the file became shorter.
    garbage: what is at its end and will be the start of the next line that is added.
    """

    lineage: int
    lines: list[tuple[Line, int]] = field(default_factory=list)
    uncertain: int = 0
    garbage: bytes = b""

    def is_committed(self, lines: Lines) -> bool:
        """Whether all lines of the file were read, as far as a restart would remember it."""
        return all(line.number in lines.committed for line, _ in self.lines)

    def copied(self, size: int) -> Content:
        """What a copy of the first bytes holds."""
        kept = [entry for entry in self.lines if entry[1] <= size]
        return Content(self.lineage, kept, self.uncertain, self.garbage)


def _merged(garbage: bytes, text: bytes) -> set[bytes]:
    """What may come of a line added to garbage: a reader may begin behind any NULs in it."""
    starts = [0, *(nuls.end() for nuls in re.finditer(rb"\0+", garbage)), len(garbage)]
    return {garbage[start:].lstrip(b"\0") + text for start in starts}


@dataclass
class _Unwritten:
    """number: None if the start of the line was cut off, so that it will never be a whole one."""

    number: int | None
    text: bytes
    rest: bytes
    begun: bool = False


class Writer:
    """A program that has a log file open and writes lines to it, in pieces of any length.

    last: the number of the last line that it was to write.
    """

    def __init__(self, path: str, content: Content, lines: Lines, append: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else 0)
        self.content = content
        self.descriptor = os.open(path, flags, 0o640)
        if not append:
            os.lseek(self.descriptor, 0, os.SEEK_END)
        self.last = 0
        self._lines = lines
        self._unwritten: deque[_Unwritten] = deque()

    def add(self, filler: int) -> int:
        """Has one more line to write; returns its number."""
        self.last, data = self._lines.new(filler)
        self._unwritten.append(_Unwritten(self.last, data[:-1], data))
        return self.last

    def flush(self, size: int | None = None) -> int:
        """Writes that many bytes, or all that there is to write, with one call."""
        data = b"".join(unwritten.rest for unwritten in self._unwritten)[:size]
        if not data:
            return 0
        os.write(self.descriptor, data)
        end = os.lseek(self.descriptor, 0, os.SEEK_CUR) - len(data)
        left = len(data)
        while left:
            unwritten = self._unwritten[0]
            piece = unwritten.rest[:left]
            left -= len(piece)
            end += len(piece)
            unwritten.rest = unwritten.rest[len(piece) :]
            if self.content.garbage:
                unwritten.number = None
                self._lines.fragments |= _merged(self.content.garbage, unwritten.text)
                self.content.garbage = b""
            unwritten.begun = True
            if not unwritten.rest:
                self._unwritten.popleft()
                if unwritten.number is not None:
                    begin = end - len(unwritten.text) - 1
                    must = begin >= self.content.uncertain
                    line = Line(unwritten.number, self.content.lineage, must)
                    self._lines.known[unwritten.text] = line
                    self.content.lines.append((line, end))
        return len(data)

    def cut_off(self, content: Content) -> None:
        """The file was emptied: what it is going to hold is `content`."""
        self.content = content
        for unwritten in self._unwritten:
            if unwritten.begun:
                self._lines.fragments.add(unwritten.rest[:-1])
                unwritten.number, unwritten.begun = None, False

    def die(self) -> None:
        """What was not written yet never will be."""
        self._unwritten.clear()

    def close(self) -> None:
        """Ends without another word."""
        os.close(self.descriptor)

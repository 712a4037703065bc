r"""Splits bytes into whole log lines, and joins messages that container runtimes split.

Lines end at LF and nowhere else: U+2028, NEL and a lone CR are text that an attacker may send.
Broken UTF-8 passes unchanged, and so do NUL bytes inside a line. NUL bytes at the start of a line
are removed: they fill the hole after a power failure, or after the truncation of a log whose writer
does not use O_APPEND. A line over the limit is skipped up to its LF, and never held in memory.

Container runtimes wrap each line:

    2026-05-01T06:43:08.123456789+02:00 stdout F MESSAGE                             (CRI)
    {"log":"MESSAGE\n","stream":"stdout","time":"2026-05-01T04:43:08.123456789Z"}    (docker)

They split messages of more than 8 or 16 KiB into parts. A client that makes a server write a long
message can choose where it is split, so the last part read by itself would be a line of the
client's choice. Parts are therefore joined, for each stream, before anything else looks at them.
In CRI all parts but the last are marked `P`; in docker's files their text does not end in a line
break. A split never ends between two parts of a message.

Known limits: a message that is split at a rotation has its parts in two files and is not joined.
Docker's keys are recognised only in the order in which docker writes them; other lines are left
unchanged. An unfinished message delays the lines after it, up to the limit; then its parts are
skipped, including the last one.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from mailbanned.multisearch import MultiSearch

#: The longest message that is joined (bytes).
MAX_MESSAGE = 64 * 1024
#: The longest line of a log (bytes, with its LF), and the longest delay by an unfinished message.
MAX_LINE = 64 * 1024

#: Bits of what is being skipped at a position: a line, or the message of a stream.
SKIPPING_LINE = 1
_STREAM_BITS = {b"stdout": 2, b"stderr": 4}
_ALL_STREAMS = 6
# Bytes of a line that show which runtime wrote it, and in CRI the stream.
_HEAD_BYTES = 64

_STAMP = (
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    rb"(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)
#: The start of a CRI line: the timestamp, the stream, and whether it is a part (P) or final (F).
CRI = re.compile(_STAMP + rb" (stdout|stderr) ([PF]) ")
_STRING = rb'"[^"\\]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\]*)*"'
_DOCKER_HEAD = b'{"log":"'
_DOCKER = re.compile(
    rb'\{"log":(' + _STRING + rb'),"stream":"(stdout|stderr)",'
    rb'(?:"attrs":\{(?:[^"{}]|' + _STRING + rb')*\},)?"time":"(' + _STAMP + rb')"\}\r?'
)
_find_wrappers = MultiSearch([b"\n" + _DOCKER_HEAD, b" stdout P ", b" stderr P "]).find
_NO_NUL = re.compile(rb"[^\0]")
# Not strict: the expression above lets control characters through.
_decode = json.JSONDecoder(strict=False).decode


class WrappedPart(NamedTuple):
    """A message or a part of one, as a runtime wrapped it.

    is_final: whether the message ends here. head: the start of the line in CRI's form.
    text: the text as it is written; is_quoted: as a JSON string.
    """

    stream: bytes
    is_final: bool
    head: bytes
    text: bytes
    is_quoted: bool


def find_wrapped(data: bytes, start: int = 0) -> int:
    """The offset of the first line that must be unwrapped: a part, or docker's; -1 without one.

    data[start:] starts at the start of a line. Costs next to nothing if there is none.
    """
    if data.startswith(_DOCKER_HEAD, start):
        return start
    next_line = start
    for which, at, _ in _find_wrappers(memoryview(data)[start:]):
        at += start
        if which == 0:
            return at + 1
        if at >= next_line:
            line = data.rfind(b"\n", next_line, at) + 1 or next_line
            head = CRI.match(data, line)
            if head is not None and head[2] == b"P":
                return line
            next_line = data.find(b"\n", at) + 1 or len(data)
    return -1


def parse_wrapped(line: bytes) -> WrappedPart | None:
    """The part in a line (without LF), None if no runtime wrote the line."""
    cri = CRI.match(line)
    if cri is not None:
        return WrappedPart(cri[1], cri[2] == b"F", line[: cri.end()], line[cri.end() :], False)
    docker = _DOCKER.fullmatch(line) if line.startswith(_DOCKER_HEAD) else None
    if docker is None:
        return None
    text, stream, stamp = docker.groups()
    return WrappedPart(stream, _ends_a_line(text), b"%b %b F " % (stamp, stream), text, True)


def _ends_a_line(quoted: bytes) -> bool:
    r"""Whether a JSON string ends in \n, and not in an escaped backslash and an n."""
    before = quoted[:-2]
    return quoted.endswith(b'\\n"') and (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def _unquote(part: WrappedPart) -> bytes:
    """The text of a part, without the line break that ends it."""
    if not part.is_quoted:
        return part.text
    if part.is_final and part.text.count(b"\\") == 1:
        return part.text[1:-3]
    text: str = _decode(part.text.decode("utf-8", "replace"))
    # A line break inside a message must not start a new line.
    return text[: -1 if part.is_final else None].replace("\n", "\\n").encode("utf-8", "replace")


class SplitLines(NamedTuple):
    """The whole lines in some bytes.

    lines: the lines with their LFs.
    end: the offset after them; the bytes from there on must be passed again, with more.
    skipping: whether `end` is inside a line that is being skipped.
    """

    lines: bytes
    end: int
    skipping: bool


def split_lines(
    data: bytes,
    start: int = 0,
    skipping: bool = False,
    limit: int = MAX_LINE,
    *,
    keep_numbers: bool = False,
) -> SplitLines:
    """Returns the whole lines in data[start:], without those over the limit.

    skipping: data[start:] starts inside a line that is being skipped.
    keep_numbers: leave an empty line in place of a skipped one.
    """
    skipped = b"\n" if keep_numbers else b""
    kept: list[bytes] = []
    begin = at = start
    if skipping:
        begin = at = data.find(b"\n", start) + 1
        if not at:
            return SplitLines(b"", len(data), True)
        kept.append(skipped)
    while len(data) - at > limit:
        last = data.rfind(b"\n", at, at + limit)
        if last >= 0:
            at = last + 1
            continue
        kept.append(data[begin:at])
        begin = at = data.find(b"\n", at + limit) + 1
        if not at:
            return SplitLines(b"".join(kept), len(data), True)
        kept.append(skipped)
    end = max(at, data.rfind(b"\n", at) + 1)
    kept.append(data[begin:end])
    return SplitLines(b"".join(kept), end, False)


class SplitMessages(NamedTuple):
    """The whole messages in some bytes.

    lines: each message in one line, as `join_parts` returns them.
    end: as in SplitLines. skipping: bits of what is being skipped at `end`, 0 if nothing is.
    """

    lines: bytes
    end: int
    skipping: int


def split_messages(
    data: bytes,
    start: int = 0,
    skipping: int = 0,
    limit: int = MAX_LINE,
    *,
    keep_numbers: bool = False,
) -> SplitMessages:
    """Returns the lines of the whole messages in data[start:]. Skipped parts leave empty lines.

    skipping: as returned for the offset `start`, 0 at the start of a message.
    limit: of a line, and of the delay by an unfinished message (bytes).
    keep_numbers: leave an empty line in place of a skipped one, too.
    """
    kept: list[bytes] = []
    while True:
        if not skipping & SKIPPING_LINE and data.startswith(b"\0", start):
            start = _after_nuls(data, start)
        # Where there is no NUL at all, this is far faster than to search for both bytes at once.
        nul = data.find(b"\0", start)
        hole = -1 if nul < 0 else data.find(b"\n\0", max(start, nul - 1))
        if hole < 0:
            split = _split_messages(data, start, skipping, limit, keep_numbers)
            return split if not kept else split._replace(lines=b"".join((*kept, split.lines)))
        split = _split_messages(data[start : hole + 1], 0, skipping, limit, keep_numbers)
        kept.append(split.lines)
        start, skipping = start + split.end, split.skipping
        if start <= hole:  # a message is unfinished at the hole
            split = _split_messages(data, start, skipping, limit, keep_numbers)
            return split._replace(lines=b"".join((*kept, split.lines)))


def _after_nuls(data: bytes, start: int) -> int:
    """The offset of the first byte from `start` on that is no NUL, or of the end."""
    found = _NO_NUL.search(data, start)
    return len(data) if found is None else found.start()


def _split_messages(
    data: bytes, start: int, skipping: int, limit: int, keep_numbers: bool
) -> SplitMessages:
    """As `split_messages`, for data without NUL bytes at the start of lines."""
    if skipping <= SKIPPING_LINE and find_wrapped(data, start) < 0:
        lines, end, skipping_line = split_lines(
            data, start, bool(skipping), limit, keep_numbers=keep_numbers
        )
        return SplitMessages(lines, end, SKIPPING_LINE if skipping_line else 0)
    splitter = _MessageSplitter(skipping & _ALL_STREAMS, limit)
    if skipping & SKIPPING_LINE:
        start = data.find(b"\n", start) + 1
        if not start:
            return SplitMessages(b"", len(data), skipping)
        if keep_numbers:
            splitter.lines.append(b"")
    while start < len(data):
        end = data.find(b"\n", start) + 1
        if (end or len(data)) - start > limit:
            splitter.skip_line(data[start : start + _HEAD_BYTES], end or len(data))
            if not end:
                return splitter.result(len(data), SKIPPING_LINE)
            if keep_numbers:
                splitter.lines.append(b"")
        elif not end:
            break
        else:
            splitter.add_line(data[start : end - 1], start, end)
        start = end
    return splitter.result(start)


def join_parts(block: bytes) -> bytes:
    """Returns a block of whole messages with each message in one line, all in CRI's form.

    The line of the final part becomes the whole message. The other parts become empty lines, so
    that every line keeps its number. So do messages without an end, or over MAX_MESSAGE. A block
    without parts is returned as it is.
    """
    first = find_wrapped(block)
    if first < 0:
        return block
    splitter = _MessageSplitter(0, len(block))
    for line in block[first:].split(b"\n"):
        splitter.add_line(line, 0, 0)
    return block[:first] + b"\n".join(splitter.lines)


class _MessageSplitter:
    """Joins the parts of a container log, line by line.

    skipping: bits of the streams whose message is being skipped. limit: the longest delay (bytes).
    lines: the lines so far, without LFs; the parts of unfinished messages are empty.
    """

    def __init__(self, skipping: int, limit: int) -> None:
        self.lines: list[bytes] = []
        self._skipping = skipping
        self._limit = limit
        # The texts of unfinished messages, by stream. Where the first of them began, or the first
        # of those interleaved with them: offset, line, and what was being skipped there.
        self._unfinished: dict[bytes, list[bytes]] = {}
        self._begin = (0, 0, 0)

    def add_line(self, line: bytes, start: int, end: int) -> None:
        """Adds a line (without its LF) that spans these offsets."""
        self._limit_delay(end)
        part = parse_wrapped(line)
        self.lines.append(line if part is None else self._join(part, start))

    def _join(self, part: WrappedPart, start: int) -> bytes:
        """The line of a final part with the parts before it; an empty line for any other part."""
        bit = _STREAM_BITS[part.stream]
        if self._skipping & bit:
            if part.is_final:
                self._skipping &= ~bit
            return b""
        if not part.is_final:
            if not self._unfinished:
                self._begin = (start, len(self.lines), self._skipping)
            self._unfinished.setdefault(part.stream, []).append(_unquote(part))
            return b""
        text = b"".join((*self._unfinished.pop(part.stream, ()), _unquote(part)))
        return part.head + text if len(text) <= MAX_MESSAGE else b""

    def skip_line(self, head: bytes, end: int) -> None:
        """Skips a line over the limit; if it is a part, with its message. head: its first bytes."""
        self._limit_delay(end)
        cri = CRI.match(head)
        if cri is None:
            # Docker writes the stream at the end of a line, which may not be there yet.
            self._skipping |= _ALL_STREAMS if find_wrapped(head) == 0 else 0
        elif cri[2] == b"F":
            self._skipping &= ~_STREAM_BITS[cri[1]]
        else:
            self._skipping |= _STREAM_BITS[cri[1]]

    def _limit_delay(self, end: int) -> None:
        """Skips the unfinished messages if they delay more than the limit."""
        if self._unfinished and end - self._begin[0] > self._limit:
            for stream in self._unfinished:
                self._skipping |= _STREAM_BITS[stream]
            self._unfinished.clear()

    def result(self, end: int, skipping: int = 0) -> SplitMessages:
        """The lines up to `end`, or up to where unfinished messages begin."""
        lines, skipping = self.lines, self._skipping | skipping
        if self._unfinished:
            end, count, skipping = self._begin
            lines = lines[:count]
        return SplitMessages(b"".join(line + b"\n" for line in lines), end, skipping)

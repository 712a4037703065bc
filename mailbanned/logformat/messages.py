r"""What container runtimes wrap round log lines, and how a message is put together again.

    2026-05-01T06:43:08.123456789+02:00 stdout F MESSAGE                             (CRI)
    {"log":"MESSAGE\n","stream":"stdout","time":"2026-05-01T04:43:08.123456789Z"}    (docker)

Runtimes cut messages into parts, some 8 or 16 KiB long. The client who makes a server write much
has a say in where, so the rest of a message read by itself would be a line of his own choice.
Parts are therefore joined, each stream by itself, before anything else looks at them. In CRI all
parts but the last one say `P`; in docker's files their text does not end in a line break.

Known limits: a message that was cut at a rotation has its parts in two files and is not joined.
Other orders of docker's keys than docker's own are not known; such lines stay as they are.

Cuts whole lines out of a stretch of bytes, without looking at the lines one by one.

Lines end at LF and nowhere else: U+2028, NEL and a lone CR are text that an attacker may send.
Broken UTF-8 passes through untouched, and so do NUL bytes inside a line. Those in front of a line
are no part of it: they fill the hole that a power failure leaves behind, or a writer without
O_APPEND when its log is truncated. A line that is longer than the limit is left out, up to and with
its LF, and never held in memory. Of container logs whole messages are cut
out: no position lies between two parts of a message.

Known limit: a message that is begun and not ended holds up what stands behind it, though not for
longer than the limit; then its parts are left out, up to and with the last one.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from mailbanned.multisearch import MultiSearch

#: The longest message that is put together, in bytes.
LONGEST = 64 * 1024
#: How far apart the parts of a message may stand, where nobody waits for them. Bytes.
_FARTHEST = 1024 * 1024

_STAMP = (
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    rb"(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)
#: What stands before a message in a CRI log: the stamp, the stream, whether it is only a part.
CRI = re.compile(_STAMP + rb" (stdout|stderr) ([PF]) ")
_STRING = rb'"[^"\\]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\]*)*"'
_DOCKER_HEAD = b'{"log":"'
_DOCKER = re.compile(
    rb'\{"log":(' + _STRING + rb'),"stream":"(stdout|stderr)",'
    rb'(?:"attrs":\{(?:[^"{}]|' + _STRING + rb')*\},)?"time":"(' + _STAMP + rb')"\}\r?'
)
_find_marks = MultiSearch([b"\n" + _DOCKER_HEAD, b" stdout P ", b" stderr P "]).find
# Control characters pass, so that whatever the expression above lets through can be read.
_decode = json.JSONDecoder(strict=False).decode


class Part(NamedTuple):
    """A message or a part of one.

    final: whether the message ends here. head: what stands before it in CRI.
    text: what it says; if docker wrote it, as it is written there, in quotes.
    """

    stream: bytes
    final: bool
    head: bytes
    text: bytes
    quoted: bool


def framed(data: bytes, start: int = 0) -> int:
    """Where the first line begins that is only a part, or docker's; -1 if there is none.

    data[start:] begins at the start of a line. Nearly free where there is none.
    """
    if data.startswith(_DOCKER_HEAD, start):
        return start
    following = start
    for which, at, _ in _find_marks(memoryview(data)[start:]):
        at += start
        if which == 0:
            return at + 1
        if at >= following:
            line = data.rfind(b"\n", following, at) + 1 or following
            head = CRI.match(data, line)
            if head is not None and head[2] == b"P":
                return line
            following = data.find(b"\n", at) + 1 or len(data)
    return -1


def part(line: bytes) -> Part | None:
    """What a line (without LF) holds, None if no runtime wrote it."""
    cri = CRI.match(line)
    if cri is not None:
        return Part(cri[1], cri[2] == b"F", line[: cri.end()], line[cri.end() :], False)
    docker = _DOCKER.fullmatch(line) if line.startswith(_DOCKER_HEAD) else None
    if docker is None:
        return None
    text, stream, stamp = docker.groups()
    return Part(stream, _ends_a_line(text), b"%b %b F " % (stamp, stream), text, True)


def _ends_a_line(quoted: bytes) -> bool:
    r"""Whether a JSON string ends in \n, and not in a backslash (written as two) and an n."""
    before = quoted[:-2]
    return quoted.endswith(b'\\n"') and (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def _text(found: Part) -> bytes:
    """What a part says, without the line break that ends it."""
    if not found.quoted:
        return found.text
    if found.final and found.text.count(b"\\") == 1:
        return found.text[1:-3]
    text: str = _decode(found.text.decode("utf-8", "replace"))
    # A line break inside a message must not make a new line of the rest.
    return text[: -1 if found.final else None].replace("\n", "\\n").encode("utf-8", "replace")


def taken(data: bytes) -> tuple[bytes, int]:
    """The whole messages at the start of data, as `plain` gives them, and how far they reach.

    data begins at the start of a line. They reach to the end of its last line, unless the final
    part of a message is still missing. Then it is to where that message begins, or the first of
    those that are interleaved with it. If more than a megabyte stands behind that, nobody waits any
    longer, and what may still come of the message passes for one of its own.
    """
    end = data.rfind(b"\n") + 1
    at = framed(data)
    if at < 0:
        return data[:end], end
    unfinished: set[bytes] = set()
    begin = at
    while at < end:
        after = data.find(b"\n", at) + 1
        if after - begin > _FARTHEST:
            unfinished.clear()
        found = part(data[at : after - 1])
        if found is not None:
            if found.final:
                unfinished.discard(found.stream)
            else:
                begin = begin if unfinished else at
                unfinished.add(found.stream)
        at = after
    end = begin if unfinished else end
    return plain(data[:end]), end


def plain(block: bytes) -> bytes:
    """A block of whole messages with each message in one line, and all in the form of CRI.

    The line of the final part becomes the whole message; the parts before it leave empty lines
    behind, so that every line keeps its number. Messages without an end, or over LONGEST, become
    empty lines. Where there is nothing to do, the block itself is returned.
    """
    first = framed(block)
    if first < 0:
        return block
    parts: dict[bytes, list[bytes]] = {}
    lines = block[first:].split(b"\n")
    for at, line in enumerate(lines):
        found = part(line)
        if found is None:
            continue
        if not found.final:
            parts.setdefault(found.stream, []).append(_text(found))
            lines[at] = b""
            continue
        text = b"".join((*parts.pop(found.stream, ()), _text(found)))
        lines[at] = found.head + text if len(text) <= LONGEST else b""
    return block[:first] + b"\n".join(lines)


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

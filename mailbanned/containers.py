r"""What container runtimes wrap round log lines, and how a message is put together again.

    2026-05-01T06:43:08.123456789+02:00 stdout F MESSAGE                             (CRI)
    {"log":"MESSAGE\n","stream":"stdout","time":"2026-05-01T04:43:08.123456789Z"}    (docker)

Runtimes cut messages into parts, some 8 or 16 KiB long. The client who makes a server write much
has a say in where, so the rest of a message read by itself would be a line of his own choice.
Parts are therefore joined, each stream by itself, before anything else looks at them. In CRI all
parts but the last one say `P`; in docker's files their text does not end in a line break.

Known limits: a message that was cut at a rotation has its parts in two files and is not joined.
Other orders of docker's keys than docker's own are not known; such lines stay as they are.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from mailbanned.texts import Texts

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
_find_marks = Texts([b"\n" + _DOCKER_HEAD, b" stdout P ", b" stderr P "]).find
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

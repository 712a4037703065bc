"""Cuts whole lines out of a stretch of bytes, without looking at the lines one by one.

Lines end at LF and nowhere else: U+2028, NEL and a lone CR are text that an attacker may send.
NUL bytes and broken UTF-8 pass through untouched. A line that is longer than the limit is left
out, up to and with its LF, and never held in memory. Known limit: the hole of NUL bytes that a
writer without O_APPEND leaves behind when its log is truncated is the start of the line after it,
so with a hole beyond the limit that line is left out as well.
"""

from __future__ import annotations

from typing import NamedTuple

#: The longest line that is handed on, in bytes with its LF.
MAX_LINE = 64 * 1024


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

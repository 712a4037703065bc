"""One pattern: google-re2 behind the spellings that filter files use.

A pattern covers the whole text from the program tag to the end of the line; it is anchored at
both ends whether or not it says so. RE2 matches in time linear in the line, whatever the pattern
and the line. This is the only file that knows the library.

    <ADDR>                  the client's address (also spelled <HOST>); exactly once
    <USER>                  the attempted account: anything (also <F-USER>...</F-USER> round a
                            narrower pattern); at most once
"""

from __future__ import annotations

import re
from typing import Any

import re2

from mailbanned.model import Address, parse_address

_ADDR = r"(?P<addr>[0-9A-Fa-f:.]{2,45})"
_USER = r"(?P<user>.*)"

# What servers write where no name was given.
_NO_NAME = frozenset({b"", b"(unavailable)", b"?"})


class PatternError(ValueError):
    """A pattern that cannot be used; the text says why."""


class Pattern:
    """A compiled pattern.

    name: short, for status and logs; rule: "filter/name".
    literal: bytes that every matching line contains; lines without them are never tried.
    match: what the line must look like, from the end of the tag on; `tag` stands before it.
    unless: lines that also match this are none of ours (outages, policies).
    """

    def __init__(
        self, filter_name: str, name: str, *, literal: str, match: str, tag: str = "",
        unless: str | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.rule = f"{filter_name}/{name}"
        self.literal = literal.encode()
        if len(self.literal) < 4:
            raise PatternError(f"literal {literal!r} is too short to tell lines apart (4 bytes)")
        self._match = _compile(expand(f"(?:{tag})(?:{match})"))
        groups = self._match.groupindex
        if "addr" not in groups:
            raise PatternError("the pattern has no <ADDR>: it cannot say whom to ban")
        self._addr, self._user = groups["addr"], groups.get("user")
        self._unless = _compile(f"(?:{tag})(?:{unless})") if unless else None

    def find(self, text: bytes) -> tuple[Address, str | None] | None:
        """(address, user or None) if the whole text matches, else None."""
        found = self._match.fullmatch(text)
        if found is None or (self._unless is not None and self._unless.fullmatch(text)):
            return None
        address = parse_address(found.group(self._addr))
        if address is None:
            return None
        user = found.group(self._user) if self._user else None
        if user is None or user in _NO_NAME:
            return address, None
        return address, user.decode("utf-8", "replace")


def expand(pattern: str) -> str:
    """The pattern with our tags, and fail2ban's spellings of them, written out."""
    pattern = pattern.replace("<HOST>", "<ADDR>")
    pattern = pattern.replace("<F-USER>", "(?P<user>").replace("</F-USER>", ")")
    pattern = pattern.replace("<ADDR>", _ADDR).replace("<USER>", _USER)
    left = re.search(r"</?[A-Z][A-Z0-9_-]*>", pattern)
    if left:
        raise PatternError(f"unknown tag {left[0]}; known are <ADDR> and <USER>")
    return pattern


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes in, bytes out: any byte is a character
    options.log_errors = False
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"not a valid RE2 pattern: {text}") from None

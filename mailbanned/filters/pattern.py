"""One pattern: google-re2 behind the spellings that filter files use.

A pattern covers the whole text from the program tag to the end of the line; it is anchored at
both ends whether or not it says so. RE2 matches in time linear in the line, whatever the pattern
and the line. This is the only file that knows the library.

    <ADDR>                  the client's address (also spelled <HOST>); exactly once
    <USER>                  the attempted account: anything (also <F-USER>...</F-USER> round a
                            narrower pattern); at most once
    <MAIL>                  a mail address in angle brackets as Postfix writes it; what stands in
                            quotes inside it may be anything, even brackets and whole messages
"""

from __future__ import annotations

import re
from typing import Any

import re2

from mailbanned.model import Address, parse_address

_ADDR = r"(?P<addr>[0-9A-Fa-f:.]+)"
_USER = r"(?P<user>.*)"
_MAIL = r"""<(?:"(?:[^"\\]|\\.)*"|[^">])*>"""

_WHOLE = re2._Anchor.ANCHOR_BOTH
_NOWHERE = (-1, -1)  # the span of a group that took no part; as a slice it is empty

# What servers write where no name was given.
_NO_NAME = frozenset({b"", b"(unavailable)", b"?"})


class PatternError(ValueError):
    """A pattern that cannot be used; the text says why."""


class Pattern:
    """A compiled pattern.

    name: short, for status and logs; rule: "filter/name".
    literal: bytes that every matching line contains; lines without them are never tried.
    match: what the line must look like, from the end of the tag on; `tag` stands before it.
    summary: matching lines may only sum up what others have told (see Failure).
    unless: lines that also match this are none of ours (outages, policies).
    """

    def __init__(
        self, filter_name: str, name: str, *, literal: str, match: str, tag: str = "",
        unless: str | None = None, summary: bool = False,
    ) -> None:  # fmt: skip
        self._made_of = (filter_name, name, literal, match, tag, unless, summary)
        self.summary = summary
        self.name = name
        self.rule = f"{filter_name}/{name}"
        self.literal = literal.encode()
        if len(self.literal) < 4:
            raise PatternError(f"literal {literal!r} is too short to tell lines apart (4 bytes)")
        written = expand(match)
        if "(?P<addr>" not in written:
            raise PatternError("the pattern has no <ADDR>: it cannot say whom to ban")
        if written.count("(?P<addr>") > 1 or written.count("(?P<user>") > 1:
            raise PatternError("<ADDR> or <USER> stands twice; write two patterns instead")
        compiled = _compile(f"(?:{tag})(?:{written})")
        groups = {group.decode(): at for group, at in compiled.groupindex.items()}
        self._addr, self._user = groups["addr"], groups.get("user")
        # Below the library's own match objects, which cost three times as much as the search.
        self._match = compiled._regexp.Match
        self._unless = None
        if unless:
            self._unless = _compile(f"(?:{tag})(?:{expand(unless)})")._regexp.Match

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it was made of: compiled patterns do not travel."""
        return _made, self._made_of

    def find(self, text: bytes) -> tuple[Address, str | None] | None:
        """(address, user or None) if the whole text matches, else None."""
        spans = self._match(_WHOLE, text, 0, len(text))
        if spans[0] == _NOWHERE:
            return None
        if self._unless and self._unless(_WHOLE, text, 0, len(text))[0] != _NOWHERE:
            return None
        start, end = spans[self._addr]
        address = parse_address(text[start:end])
        if address is None or self._user is None:
            return None if address is None else (address, None)
        start, end = spans[self._user]
        user = text[start:end]
        return address, None if user in _NO_NAME else user.decode("utf-8", "replace")


def _made(
    filter_name: str,
    name: str,
    literal: str,
    match: str,
    tag: str,
    unless: str | None,
    summary: bool,
) -> Pattern:
    return Pattern(
        filter_name, name, literal=literal, match=match, tag=tag, unless=unless, summary=summary
    )


def expand(pattern: str) -> str:
    """The pattern with our tags, and fail2ban's spellings of them, written out."""
    pattern = pattern.replace("<HOST>", "<ADDR>")
    pattern = pattern.replace("<F-USER>", "(?P<user>").replace("</F-USER>", ")")
    pattern = pattern.replace("<ADDR>", _ADDR).replace("<USER>", _USER)
    pattern = pattern.replace("<MAIL>", _MAIL)
    left = re.search(r"</?[A-Z][A-Z0-9_-]*>", pattern)
    if left:
        raise PatternError(f"unknown tag {left[0]}; known are <ADDR>, <USER> and <MAIL>")
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

"""One pattern: google-re2 behind the spellings that filter files use.

A pattern covers the whole text from the program tag to the end of the line; it is anchored at
both ends whether or not it says so. RE2 matches in time linear in the line, whatever the pattern
and the line. This is the only file that knows the library.

How filter files spell a pattern, and what that means in RE2.

<ADDR>                  the client's address (also spelled <HOST>)
<USER>                  the attempted account: anything
<F-USER>...</F-USER>    the attempted account, where it must look like what stands between
<SESSION>...</SESSION>  the server's name of the connection: lines of one session that tell of
                        the same attempt count once
<PASSDB>...</PASSDB>    the account database that refused
<TIMES>...</TIMES>      a number: so many attempts does the line tell of
<MAIL>                  a mail address in angle brackets as Postfix writes it; what stands in
                        quotes inside it may be anything, even brackets and whole messages
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import re2

from mailbanned.address import parse_address
from mailbanned.filters.regex import SHORTEST, required
from mailbanned.model import Failure, LineFields, Sign

_WHOLE = re2._Anchor.ANCHOR_BOTH
_START = re2._Anchor.ANCHOR_START
_new = tuple.__new__  # half the cost of Failure(...)

#: What a matching line is: a failure; one that looks like a failure and is none; a login that was
#: let in; a server's word that it cannot reach its accounts.
KINDS = ("failure", "known", "success", "outage")

#: Looks at a line.
Find = Callable[[LineFields], Failure | Sign | None]

# What a Chooser may take at most; those of the shipped filters take a tenth of it.
_CHOOSER_BYTES = 4 << 20

#: However many attempts a line tells of, no more are believed.
MOST_TIMES = 10

# What servers write where no name was given.
_NO_NAME = frozenset({b"", b"(unavailable)", b"?"})


class PatternError(ValueError):
    """A pattern that cannot be used; the text says why."""


class Pattern:
    """A compiled pattern.

    name: short, for status and logs; rule: "filter/name".
    match: what the line must look like, from the end of the tag on; `tag` stands before it.
    literal: text that every matching line contains; found in the pattern if not given.
    kind: one of KINDS. summary: matching lines may only sum up what others have told (see Failure).

    literals: texts that every matching line contains, the best one to search for first.
    """

    def __init__(
        self, filter_name: str, name: str, *, match: str, tag: str = "", literal: str = "",
        kind: str = "failure", summary: bool = False,
    ) -> None:  # fmt: skip
        self._made_of = (filter_name, name, match, tag, literal, kind, summary)
        self.name = name
        self.rule = f"{filter_name}/{name}"
        self.kind = kind
        self.summary = summary
        try:
            written = expand(match)
            self.text = f"(?:{expand(tag)})(?:{written})"
        except SpellingError as error:
            raise PatternError(str(error)) from None
        if "(?P<addr>" not in written and kind in ("failure", "success"):
            raise PatternError("the pattern has no <ADDR>: it cannot say whom to ban")
        compiled = _compile(self.text)
        self.literals = _literals(literal, written, self.text)
        #: What a line says if its whole text matches, else None.
        self.find = _finder(compiled, self.rule, kind, summary)
        #: The same for a line whose text is known to match.
        self.find_certain = self.find
        if kind == "known" and "(?P<addr>" not in written:
            nothing_more = Sign(0, None, kind, None, None, self.rule)
            self.find_certain = lambda _: nothing_more

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it was made of: compiled patterns do not travel."""
        return _made, self._made_of


def _finder(compiled: Any, rule: str, kind: str, summary: bool) -> Find:
    """How a pattern looks at lines. Made once, since local names are what Python finds fastest."""
    groups = {group.decode(): at for group, at in compiled.groupindex.items()}
    in_addr, in_user = groups.get("addr"), groups.get("user")
    in_session, in_passdb = groups.get("session"), groups.get("passdb")
    in_times = groups.get("times")
    more = bool(in_session or in_passdb or in_times or summary)
    # Below the library's own match objects, which cost three times as much as the search.
    match, whole = compiled._regexp.Match, _WHOLE
    if kind == "failure" and in_addr is not None and not more:
        return _finder_of_failures(match, rule, in_addr, in_user)

    def find(line: LineFields) -> Failure | Sign | None:
        number, at, text, times = line
        spans = match(whole, text, 0, len(text))
        if spans[0][0] < 0:
            return None
        address = user = None
        if in_addr is not None:
            start, end = spans[in_addr]
            address = parse_address(text[start:end])
            if address is None:
                return None
        if in_user is not None:
            start, end = spans[in_user]
            name = text[start:end]
            user = None if name in _NO_NAME else name.decode("utf-8", "replace")
        if kind != "failure" or address is None:
            return Sign(number, at, kind, address, user, rule)
        session, passdb = _text(text, spans, in_session), _text(text, spans, in_passdb)
        if in_times is not None:
            times = min(MOST_TIMES, times * _number(_text(text, spans, in_times)))
        return Failure(number, at, address, user, rule, summary, session, passdb, times)

    return find


def _finder_of_failures(match: Any, rule: str, in_addr: int, in_user: int | None) -> Find:
    """How most patterns look at lines: they say who failed, and perhaps as whom."""
    whole, new, parse, no_name = _WHOLE, _new, parse_address, _NO_NAME

    def find(line: LineFields) -> Failure | None:
        number, at, text, times = line
        spans = match(whole, text, 0, len(text))
        start, end = spans[in_addr]
        if start < 0 or (address := parse(text[start:end])) is None:
            return None
        user = None
        if in_user is not None:
            start, end = spans[in_user]
            name = text[start:end]
            if name not in no_name:
                user = name.decode("utf-8", "replace")
        return new(Failure, (number, at, address, user, rule, False, None, None, times))

    return find


def _text(text: bytes, spans: list[tuple[int, int]], group: int | None) -> str | None:
    """What a group holds, None if it took no part or is empty."""
    if group is None:
        return None
    start, end = spans[group]
    return text[start:end].decode("utf-8", "replace") or None


def _number(text: str | None) -> int:
    """At least one, and many if it is long."""
    if text is None or not (text.isascii() and text.isdigit()):
        return 1
    return max(1, int(text)) if len(text) <= 3 else MOST_TIMES


def _made(
    filter_name: str, name: str, match: str, tag: str, literal: str, kind: str, summary: bool
) -> Pattern:
    return Pattern(
        filter_name, name, match=match, tag=tag, literal=literal, kind=kind, summary=summary
    )


def _literals(given: str, match: str, whole: str) -> tuple[bytes, ...]:
    """The given text, then those found in the pattern, long ones first.

    The tag is only looked into if the match has none: every line of a program has its tag.
    """
    found = sorted(required(match) or required(whole), key=len, reverse=True)
    if not given and not found:
        raise PatternError(
            f"no text of {SHORTEST} bytes stands in every line that matches; "
            "give one as literal, or write the pattern so that one does"
        )
    if given and len(given.encode()) < SHORTEST:
        raise PatternError(f"literal {given!r} is too short to tell lines apart (4 bytes)")
    return (given.encode(), *found) if given else tuple(found)


class Chooser:
    """Which of many patterns match a text as a whole, found in one pass over it.

    which: the places of those that match, in no order. It is empty as well if RE2 has not enough
        memory to tell; then they have to be tried one by one. Raises PatternError if they are too
        many.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        chooser = re2._re2.Set(_WHOLE, _options(max_mem=_CHOOSER_BYTES))
        for pattern in patterns:
            chooser.Add(pattern.text.encode())
        if not chooser.Compile():
            raise PatternError("too many patterns to look for at once")
        self.which: Callable[[bytes], list[int]] = chooser.Match


class Prefix:
    """The start of a pattern, to see how far a line fits it."""

    def __init__(self, pattern: str) -> None:
        self._match = _compile(pattern, longest=True)._regexp.Match

    def match(self, text: bytes) -> int | None:
        """Up to where the text fits at most, from its start; None if it does not."""
        end: int = self._match(_START, text, 0, len(text))[0][1]
        return None if end < 0 else end


def compiled(pattern: str) -> Prefix:
    """A pattern (RE2, without our tags) that tells how far texts fit it. Raises PatternError."""
    return Prefix(pattern)


def _compile(pattern: str, longest: bool = False) -> Any:
    try:
        return re2.compile(pattern.encode(), _options(longest=longest))
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"not a valid RE2 pattern: {text}") from None


def _options(longest: bool = False, max_mem: int = 0) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes in, bytes out: any byte is a character
    options.log_errors = False
    options.longest_match = longest
    if max_mem:
        options.max_mem = max_mem
    return options


_PLAIN = {
    "<HOST>": "<ADDR>",
    "<ADDR>": r"(?P<addr>[0-9A-Fa-f:.]+)",
    "<USER>": r"(?P<user>.*)",
    "<MAIL>": r"""<(?:"(?:[^"\\]|\\.)*"|[^">])*>""",
}
_AROUND = {"F-USER": "user", "SESSION": "session", "PASSDB": "passdb", "TIMES": "times"}
_TAG = re.compile(r"</?[A-Z][A-Z0-9_-]*>")


class SpellingError(ValueError):
    """A pattern whose tags cannot be understood; the text says why."""


def expand(pattern: str) -> str:
    """The pattern with our tags, and fail2ban's spellings of them, written out."""
    for tag, meaning in _PLAIN.items():
        pattern = pattern.replace(tag, meaning)
    for tag, group in _AROUND.items():
        if pattern.count(f"<{tag}>") != pattern.count(f"</{tag}>"):
            raise SpellingError(f"<{tag}> and </{tag}> do not stand in pairs")
        pattern = pattern.replace(f"<{tag}>", f"(?P<{group}>").replace(f"</{tag}>", ")")
    if left := _TAG.search(pattern):
        known = ", ".join(f"<{tag}>" for tag in ("ADDR", "USER", "MAIL", *_AROUND))
        raise SpellingError(f"unknown tag {left[0]}; known are {known}")
    for group in ("addr", *_AROUND.values()):
        if pattern.count(f"(?P<{group}>") > 1:
            raise SpellingError(f"the {group} stands twice; write two patterns instead")
    return pattern

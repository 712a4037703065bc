"""One pattern of a filter, compiled with google-re2 from the syntax of filter files.

A pattern matches the whole text of a line, from the program tag to the end. It is anchored at both
ends whether or not it says so. RE2 takes time linear in the line, whatever the pattern and the
line. No other module imports the library.

Placeholders of filter files, and what they match:

<ADDR>                  the client's address; <HOST> is the same
<USER>                  the attempted account: any text
<F-USER>...</F-USER>    the attempted account, where it must match what is inside
<SESSION>...</SESSION>  the server's name of the connection: lines of one session that report the
                        same attempt count once
<PASSDB>...</PASSDB>    the account database that refused
<TIMES>...</TIMES>      a number: how many attempts the line reports
<MAIL>                  a mail address in angle brackets as Postfix writes it; a quoted part may
                        hold any text, even brackets and whole messages

Known limit: google-re2 has no public call for bytes and the spans of groups that is as fast as the
private `_regexp.Match`; its match objects cost three times as much as the search.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import re2

from mailbanned.address import parse_address
from mailbanned.filters.regex import MIN_LITERAL, required_literals
from mailbanned.model import (
    MAX_ATTEMPTS,
    Failure,
    LineFields,
    LogEvent,
    LoginSucceeded,
    OutageReported,
)

_WHOLE = re2._Anchor.ANCHOR_BOTH
_START = re2._Anchor.ANCHOR_START
_new_tuple = tuple.__new__  # half the cost of Failure(...)

# What servers write where no name was given.
_NO_NAME = frozenset({b"", b"(unavailable)", b"?"})


class Ignored(NamedTuple):
    """One matched line that looks like a failure and is none. Its fields are those of Failure."""

    number: int
    at: float | None
    address: str | None
    user: str | None
    pattern: str


#: What a pattern finds in a line.
Finding = LogEvent | Ignored
Find = Callable[[LineFields], Finding | None]

_EVENTS: dict[str, Callable[..., Finding]] = {
    "ignore": Ignored,
    "success": LoginSucceeded,
    "outage": OutageReported,
}

#: What a matching line is: a failure; a line that looks like a failure and is none; a successful
#: login; a server's report that it cannot reach its account database.
KINDS = ("failure", *_EVENTS)


class PatternError(ValueError):
    """A pattern that cannot be used; the text says why."""


class Pattern:
    """A compiled pattern.

    name: a short name, for status and logs. full_name: "filter/name".
    match: the pattern from the end of the program tag on; `tag` is the pattern of the tag.
    literal: text that every matching line contains; derived from the pattern if it is "".
    kind: one of KINDS.
    summary: a matching line may sum up attempts that other lines reported (see Failure).

    text: the whole pattern in RE2's syntax.
    literals: texts that every matching line contains, the best one to search for first.
    find: returns what a line reports; None if its text does not match.
    """

    def __init__(
        self,
        filter_name: str,
        name: str,
        *,
        match: str,
        tag: str = "",
        literal: str = "",
        kind: str = "failure",
        summary: bool = False,
    ) -> None:
        self._arguments = (filter_name, name, match, tag, literal, kind, summary)
        self.name = name
        self.full_name = f"{filter_name}/{name}"
        self.kind = kind
        self.summary = summary
        try:
            expanded = expand_placeholders(match)
            self.text = f"(?:{expand_placeholders(tag)})(?:{expanded})"
        except PlaceholderError as error:
            raise PatternError(str(error)) from None
        if "(?P<addr>" not in expanded and kind in ("failure", "success"):
            raise PatternError("the pattern has no <ADDR>: it cannot say whom to ban")
        compiled = _compile(self.text)
        self.literals = _literals(literal, expanded, self.text)
        self.find = _finder(compiled, self.full_name, kind, summary)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the arguments: compiled patterns cannot be pickled."""
        return _unpickle, self._arguments


def _unpickle(
    filter_name: str, name: str, match: str, tag: str, literal: str, kind: str, summary: bool
) -> Pattern:
    return Pattern(
        filter_name, name, match=match, tag=tag, literal=literal, kind=kind, summary=summary
    )


def _finder(compiled: Any, full_name: str, kind: str, summary: bool) -> Find:
    """Returns Pattern.find: a closure, since Python reads local names fastest."""
    groups = {name.decode(): number for name, number in compiled.groupindex.items()}
    in_addr, in_user = groups.get("addr"), groups.get("user")
    if kind != "failure" or in_addr is None:
        return _event_finder(compiled, full_name, kind, in_addr, in_user)
    if summary or groups.keys() - {"addr", "user"}:
        return _detailed_failure_finder(compiled, full_name, summary, groups)
    return _failure_finder(compiled, full_name, in_addr, in_user)


def _event_finder(
    compiled: Any, full_name: str, kind: str, in_addr: int | None, in_user: int | None
) -> Find:
    """The finder of patterns whose lines are no failures."""
    match, event = compiled._regexp.Match, _EVENTS[kind]

    def find(line: LineFields) -> Finding | None:
        number, at, text, _ = line
        spans = match(_WHOLE, text, 0, len(text))
        if spans[0][0] < 0:
            return None
        address = None
        if in_addr is not None:
            start, end = spans[in_addr]
            address = parse_address(text[start:end])
            if address is None:
                return None
        return event(number, at, address, _user(text, spans, in_user), full_name)

    return find


def _detailed_failure_finder(
    compiled: Any, full_name: str, summary: bool, groups: dict[str, int]
) -> Find:
    """The finder of failures that report more than an address and an account."""
    match, in_addr, in_user = compiled._regexp.Match, groups["addr"], groups.get("user")
    in_session, in_passdb = groups.get("session"), groups.get("passdb")
    in_times = groups.get("times")

    def find(line: LineFields) -> Failure | None:
        number, at, text, attempts = line
        spans = match(_WHOLE, text, 0, len(text))
        start, end = spans[in_addr]
        if start < 0 or (address := parse_address(text[start:end])) is None:
            return None
        user = _user(text, spans, in_user)
        session, passdb = _text(text, spans, in_session), _text(text, spans, in_passdb)
        if in_times is not None:
            attempts = min(MAX_ATTEMPTS, attempts * _number(_text(text, spans, in_times)))
        return Failure(number, at, address, user, full_name, summary, session, passdb, attempts)

    return find


def _failure_finder(compiled: Any, full_name: str, in_addr: int, in_user: int | None) -> Find:
    """The finder of most patterns: failures with an address and perhaps an account."""
    match, whole, new, parse, no_name = (
        compiled._regexp.Match, _WHOLE, _new_tuple, parse_address, _NO_NAME,
    )  # fmt: skip

    def find(line: LineFields) -> Failure | None:
        number, at, text, attempts = line
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
        return new(Failure, (number, at, address, user, full_name, False, None, None, attempts))

    return find


def _user(text: bytes, spans: list[tuple[int, int]], group: int | None) -> str | None:
    """The account in a group, None if the line names none."""
    if group is None:
        return None
    start, end = spans[group]
    name = text[start:end]
    return None if name in _NO_NAME else name.decode("utf-8", "replace")


def _text(text: bytes, spans: list[tuple[int, int]], group: int | None) -> str | None:
    """The text of a group, None if it did not match or is empty."""
    if group is None:
        return None
    start, end = spans[group]
    return text[start:end].decode("utf-8", "replace") or None


def _number(text: str | None) -> int:
    """The number in a text: at least 1, and at most MAX_ATTEMPTS if it has over 3 digits."""
    if text is None or not (text.isascii() and text.isdigit()):
        return 1
    return max(1, int(text)) if len(text) <= 3 else MAX_ATTEMPTS


def _literals(given: str, match: str, whole: str) -> tuple[bytes, ...]:
    """The given text, then those derived from the pattern, longest first.

    Texts of the tag are used only if the match has none: every line of a program has its tag.
    """
    derived = sorted(required_literals(match) or required_literals(whole), key=len, reverse=True)
    if not given and not derived:
        raise PatternError(
            f"no text of {MIN_LITERAL} bytes is in every line that matches; "
            "give one as literal, or write the pattern so that it has one"
        )
    if given and len(given.encode()) < MIN_LITERAL:
        raise PatternError(f"literal {given!r} is too short (at least {MIN_LITERAL} bytes)")
    return (given.encode(), *derived) if given else tuple(derived)


class PrefixMatcher:
    """Matches the start of a line with a pattern in RE2's syntax. Raises PatternError."""

    def __init__(self, pattern: str) -> None:
        self._match = _compile(pattern, longest=True)._regexp.Match

    def match(self, text: bytes) -> int | None:
        """Returns the length of the longest prefix of the text that matches, None without one."""
        end: int = self._match(_START, text, 0, len(text))[0][1]
        return None if end < 0 else end


def _compile(pattern: str, longest: bool = False) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes in, bytes out: any byte is a character
    options.log_errors = False
    options.longest_match = longest
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"not a valid RE2 pattern: {text}") from None


_PLACEHOLDERS = {
    "<HOST>": "<ADDR>",
    "<ADDR>": r"(?P<addr>[0-9A-Fa-f:.]+)",
    "<USER>": r"(?P<user>.*)",
    "<MAIL>": r"""<(?:"(?:[^"\\]|\\.)*"|[^">])*>""",
}
_PAIRED = {"F-USER": "user", "SESSION": "session", "PASSDB": "passdb", "TIMES": "times"}
_PLACEHOLDER = re.compile(r"</?[A-Z][A-Z0-9_-]*>")


class PlaceholderError(ValueError):
    """A pattern whose placeholders are wrong; the text says why."""


def expand_placeholders(pattern: str) -> str:
    """The pattern in RE2's syntax: our placeholders and those of fail2ban replaced."""
    for placeholder, meaning in _PLACEHOLDERS.items():
        pattern = pattern.replace(placeholder, meaning)
    for tag, group in _PAIRED.items():
        if pattern.count(f"<{tag}>") != pattern.count(f"</{tag}>"):
            raise PlaceholderError(f"<{tag}> and </{tag}> are not paired")
        pattern = pattern.replace(f"<{tag}>", f"(?P<{group}>").replace(f"</{tag}>", ")")
    if unknown := _PLACEHOLDER.search(pattern):
        known = ", ".join(f"<{tag}>" for tag in ("ADDR", "USER", "MAIL", *_PAIRED))
        raise PlaceholderError(f"unknown tag {unknown[0]}; known are {known}")
    for group in ("addr", *_PAIRED.values()):
        if pattern.count(f"(?P<{group}>") > 1:
            raise PlaceholderError(f"the {group} is there twice; write two patterns instead")
    return pattern

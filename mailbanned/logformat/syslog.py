r"""What stands before the message: takes time stamp and host off a line.

    May  1 06:43:08 mx postfix/smtpd[123]: warning: ...   ->  postfix/smtpd[123]: warning: ...
    May 01 06:43:08 imap-login: Info: Disconnected ...    ->  imap-login: Info: Disconnected ...

The program tag must stand right after the host: patterns are anchored there, so that a kernel
message or a forwarded text that quotes a tag further right is never taken for the real thing.
Besides a host there may be what some loggers add to it: `<mail.warn> mx` (FreeBSD), `mx mail.warn`
(BusyBox). Of what a container runtime (`STAMP stdout F `) or a supervisor (TAI64N) wrapped round
the line of a logger, the outer stamp counts and the inner one goes with its host.

Two forms are written anew, so that patterns need to know only one:

    <38>1 STAMP mx sshd 47 - [x y="\]"] MESSAGE   ->  sshd[47]: MESSAGE
    sshd[47]: message repeated 2 times: [ MESSAGE]  ->  sshd[47]: MESSAGE   (times=2)

Known limit: "last message repeated 2 times", which names no message, counts for nothing.
"""

from __future__ import annotations

import re

from mailbanned.filters.pattern import MOST_TIMES
from mailbanned.logformat.messages import CRI
from mailbanned.logformat.timestamps import CLOCK, Stamps
from mailbanned.model import Line, LineFields

_FACILITY_LEVEL = (
    rb"(?:kern|user|mail|daemon|auth|authpriv|security|syslog|lpr|news|uucp|cron|ftp|ntp|console|"
    rb"local[0-7])\.(?:emerg|panic|alert|crit|err|error|warn|warning|notice|info|debug)"
)
_BEHIND_HOST = re.compile(_FACILITY_LEVEL + b" ")
_BEFORE_HOST = re.compile(rb"<[0-9a-z]{1,10}\.[0-9a-z]{1,10}> ")
_STREAMS = (b"stdout F ", b"stderr F ")
_RFC5424 = re.compile(rb"<[0-9]{1,3}>1 ")
# Quotes come first in structured data: a bracket inside them does not end it.
_STRUCTURED = re.compile(
    rb"(?s)<[0-9]{1,3}>1 [^ ]+ [^ ]{1,255} ([^ ]{1,48}) ([^ ]{1,128}) [^ ]{1,32} "
    rb"(?:-|(?:\[[^] =\"]{1,32}(?: [^] =\"]{1,32}=\"[^\"\\]*(?:\\.[^\"\\]*)*\")*\])+)"
    rb"(?: +(?:\xef\xbb\xbf)?(.*))?"
)
_REPEATED = b"message repeated "
_REPEAT = re.compile(rb"(?s)([^ ]+: )message repeated ([0-9]{1,9}) times: \[( ?)(.*)\]")
# At so many bytes rsyslog cuts what it repeats. What may have lost its end is not believed.
_CUT_AT = 800
_LONGEST_FACILITY = len(b"authpriv")
_COLON, _CR, _BRACKET = b":\r]"
_seconds = CLOCK.get


def split(raw: bytes, number: int, stamps: Stamps, now: float) -> Line:
    """The raw line (without LF) as a Line; what has no stamp is text from the start."""
    return Line(*fields(raw, number, stamps, now))


def fields(raw: bytes, number: int, stamps: Stamps, now: float) -> LineFields:
    """As split, but only what the Line would hold."""
    # The busiest place of a replay: most lines begin as the one before did, or in the same hour.
    # It avoids calls of methods, each of which costs as much as three slices.
    start, text, at, since, until, hosted = stamps.same
    if raw[:text] != start or not since <= now <= until:
        (start, before, clock, point, point_at, fraction, scale, rest, between, text, at, since,
         until, hosted, wraps) = stamps.hour  # fmt: skip
        passed = _seconds(raw[clock])
        if (
            passed is None
            or raw[before] != start
            or raw[between] != rest
            or not since <= now <= until
        ):
            return _split(raw, number, stamps, now)
        at += passed
        if scale:
            digits = raw[fraction]
            if raw[point_at] != point or not digits.isdigit():
                return _split(raw, number, stamps, now)
            at += int(digits) / scale
        if wraps:
            return _unwrapped(raw, text, number, at, stamps, now)
        if not scale:
            stamps.same = raw[:text], text, at, since, until, hosted
    if hosted:
        # A dot may be that of `mail.warn`.
        if b"." in raw[text : text + _LONGEST_FACILITY + 1]:
            return _split(raw, number, stamps, now)
    elif raw[raw.find(b" ", text) - 1] != _COLON:
        return _split(raw, number, stamps, now)
    ending = raw[-1]
    if ending == _CR:
        return _split(raw, number, stamps, now)
    if ending == _BRACKET and _REPEATED in raw:
        return _line(number, at, raw[text:])
    return number, at, raw[text:], 1


def _split(raw: bytes, number: int, stamps: Stamps, now: float) -> LineFields:
    """As split, from scratch."""
    if raw.endswith(b"\r"):
        raw = raw[:-1]
    head = _RFC5424.match(raw) if raw.startswith(b"<") else None
    if head is not None:
        at, _ = stamps.read(raw[head.end() :], now)
        return _line(number, at, _structured(raw))
    at, start = stamps.read(raw, now)
    if at is None:
        return _line(number, at, raw)
    if stamps.inner is not None:
        if raw.startswith(_STREAMS, start) and CRI.match(raw):
            start += len(_STREAMS[0])
            stamps.keep(raw, at, start, now, wraps=True)
            return _unwrapped(raw, start, number, at, stamps, now)
        if raw.startswith(b"@") and stamps.inner.read(raw[start:], now)[1]:
            return _unwrapped(raw, start, number, at, stamps, now)
    start, hosted = _text(raw, start)
    stamps.keep(raw, at, start, now, hosted=hosted)
    return _line(number, at, raw[start:])


def _unwrapped(
    raw: bytes, start: int, number: int, at: float, stamps: Stamps, now: float
) -> LineFields:
    """The line that was wrapped into this one at `start`, with the outer time."""
    assert stamps.inner is not None
    _, _, text, times = fields(raw[start:], number, stamps.inner, now)
    return number, at, text, times


def _line(number: int, at: float | None, text: bytes) -> LineFields:
    """A line from its text, in which a repeated message is written as if it came alone."""
    if text.endswith(b"]"):
        repeat = _REPEAT.fullmatch(text)
        if repeat is not None and len(repeat[3] + repeat[4]) < _CUT_AT:
            times = max(1, min(int(repeat[2]), MOST_TIMES))
            return number, at, repeat[1] + repeat[4], times
    return number, at, text, 1


def _structured(raw: bytes) -> bytes:
    """The text of an RFC 5424 line; all of it if it is not what it says."""
    found = _STRUCTURED.fullmatch(raw)
    if found is None:
        return raw
    app, process, message = found.groups(b"")
    return app + (b": " if process == b"-" else b"[%b]: " % process) + message


def _text(raw: bytes, start: int) -> tuple[int, bool]:
    """Where the text begins behind a stamp that ends at `start`; whether a host is before it."""
    if raw[start : start + 1] == b"<":
        level = _BEFORE_HOST.match(raw, start)
        start = start if level is None else level.end()
    end = raw.find(b" ", start)
    # A first word such as `imap-login:` or `sshd[30876]:` is the tag itself: no host here.
    if end <= 0 or _is_tag(raw[start:end]):
        return start, False
    level = _BEHIND_HOST.match(raw, end + 1)
    return end + 1 if level is None else level.end(), True


def _is_tag(word: bytes) -> bool:
    return word.endswith(b":") or b"[" in word or b"(" in word

r"""Parses the header of a log line: takes timestamp and host off, so that the program tag is first.

    May  1 06:43:08 mx postfix/smtpd[123]: warning: ...   ->  postfix/smtpd[123]: warning: ...
    May 01 06:43:08 imap-login: Info: Disconnected ...    ->  imap-login: Info: Disconnected ...

The tag must follow the host at once. Patterns are anchored there, so a kernel message or a
forwarded text that quotes a tag further right never passes for the tag.
Some loggers add a level to the host: `<mail.warn> mx` (FreeBSD), `mx mail.warn` (BusyBox). A
container runtime (`STAMP stdout F `) or a supervisor (TAI64N) may wrap the line of a logger: then
the outer timestamp counts, and the inner one is removed with its host.

Two forms are rewritten, so that patterns need to match only one:

    <38>1 STAMP mx sshd 47 - [x y="\]"] MESSAGE   ->  sshd[47]: MESSAGE
    sshd[47]: message repeated 2 times: [ MESSAGE]  ->  sshd[47]: MESSAGE   (repeats=2)

Known limit: "last message repeated 2 times", which does not name the message, counts for nothing.
"""

from __future__ import annotations

import re
from datetime import tzinfo

from mailbanned.logformat.messages import CRI
from mailbanned.logformat.timestamps import TimestampParser
from mailbanned.model import MAX_ATTEMPTS, LineFields

_FACILITY_LEVEL = (
    rb"(?:kern|user|mail|daemon|auth|authpriv|security|syslog|lpr|news|uucp|cron|ftp|ntp|console|"
    rb"local[0-7])\.(?:emerg|panic|alert|crit|err|error|warn|warning|notice|info|debug)"
)
# What precedes the tag: a host, perhaps with a level on either side. A first word such as
# `imap-login:`, `sshd[30876]:` or `auth-worker(77):` is the tag itself.
_HOST = re.compile(
    rb"(?:<[0-9a-z]{1,10}\.[0-9a-z]{1,10}> )?"
    rb"(?:[^ [(]*(?<!:) (?:" + _FACILITY_LEVEL + rb" )?)?"
)
_STREAMS = (b"stdout F ", b"stderr F ")
_RFC5424_START = re.compile(rb"<[0-9]{1,3}>1 ")
# Structured data: quoted values are matched whole, since a bracket inside one does not end it.
_RFC5424 = re.compile(
    rb"(?s)<[0-9]{1,3}>1 [^ ]+ [^ ]{1,255} ([^ ]{1,48}) ([^ ]{1,128}) [^ ]{1,32} "
    rb"(?:-|(?:\[[^] =\"]{1,32}(?: [^] =\"]{1,32}=\"[^\"\\]*(?:\\.[^\"\\]*)*\")*\])+)"
    rb"(?: +(?:\xef\xbb\xbf)?(.*))?"
)
_REPEATED = re.compile(rb"(?s)([^ ]+: )message repeated ([0-9]{1,9}) times: \[( ?)(.*)\]")
# rsyslog truncates repeated messages to this length (bytes). One that may be truncated is kept as
# it is, since its end may be missing.
_TRUNCATED_AT = 800


class LineParser:
    """Parses the lines of one source.

    zone: the zone of timestamps that have none; None is the zone of this machine.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._parse_timestamp = TimestampParser(zone).parse

    def parse(self, raw: bytes, number: int, now: float) -> LineFields:
        """Returns the fields of a Line; if it has no timestamp, all of it is text.

        raw: one line without its LF. number: goes into the fields as it is. now: infers the year.
        """
        if raw.endswith(b"\r"):
            raw = raw[:-1]
        at, text = self._parse_header(raw, now)
        if text.endswith(b"]"):
            repeated = _REPEATED.fullmatch(text)
            if repeated is not None and len(repeated[3] + repeated[4]) < _TRUNCATED_AT:
                repeats = max(1, min(int(repeated[2]), MAX_ATTEMPTS))
                return number, at, repeated[1] + repeated[4], repeats
        return number, at, text, 1

    def _parse_header(
        self, raw: bytes, now: float, may_be_wrapped: bool = True
    ) -> tuple[float | None, bytes]:
        """The time of a line, and its text from the program tag on."""
        if raw.startswith(b"<"):
            start_of_5424 = _RFC5424_START.match(raw)
            if start_of_5424 is not None:
                at, _ = self._parse_timestamp(raw[start_of_5424.end() :], now)
                return at, _rfc5424_text(raw)
        at, start = self._parse_timestamp(raw, now)
        if at is None:
            return None, raw
        if may_be_wrapped:
            if raw.startswith(_STREAMS, start) and CRI.match(raw):
                inner = raw[start + len(_STREAMS[0]) :]
                return at, self._parse_header(inner, now, False)[1]
            if raw.startswith(b"@") and self._parse_timestamp(raw[start:], now)[1]:
                return at, self._parse_header(raw[start:], now, False)[1]
        host = _HOST.match(raw, start)
        return at, raw[host.end() :] if host is not None else raw[start:]


def _rfc5424_text(raw: bytes) -> bytes:
    """The text of an RFC 5424 line with an old-style tag; the whole line if it is malformed."""
    found = _RFC5424.fullmatch(raw)
    if found is None:
        return raw
    app, process, message = found.groups(b"")
    return app + (b": " if process == b"-" else b"[%b]: " % process) + message

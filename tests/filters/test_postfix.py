"""Hostile text wherever a client can make Postfix write it: the true peer is reported, or nobody.

A client's text comes as bytes and passes what Postfix does to it (quoting, stripping, "?" for what
is no printable UTF-8, the cut at 2000 bytes). It may hold whole messages that name a third party.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailbanned.filters import FilterSet, Finding, Pattern
from mailbanned.filters.pattern import Find
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Failure, Line, LogEvent
from tests.filters.shipped import NOW, filter_set, shipped

PEER, THIRD_PARTY = b"203.0.113.5", b"198.51.100.7"
POSTFIX, UNKNOWN, SASL = "postfix", "postfix-rcpt-unknown", "postfix-sasl"
FILTERS = (POSTFIX, UNKNOWN, SASL)
HEAD = b"May  1 06:43:08 mx "
CUT_AT, LONGEST_NAME = 2000, 100
BRIEFLY = settings(max_examples=40)

PORT_25 = (b"postfix/smtpd", b"postfix-in/smtpd", b"postfix/smtp-25/smtpd")
SMTPD = (*PORT_25, b"postfix/submission/smtpd", b"postfix-mydomain/smtps/smtpd",
         b"postfix/submissions-proxyprotocol/smtpd", b"postfix/smtpd-587/smtpd")  # fmt: skip
CLIENTS = st.sampled_from(
    [b"unknown[203.0.113.5]", b"host-5.example.net[::ffff:203.0.113.5]:50122", b"from[203.0.113.5]"]
)
IDS = st.sampled_from([b"NOQUEUE", b"9A1B2C3D4E", b"4XyZ1Q2abcz9kL"])

# What an attacker would write: messages and pieces of them, with somebody else's address.
MESSAGES = [
    sample.line.replace(PEER, THIRD_PARTY).replace(b"\n", b" ").removeprefix(start)
    for name in FILTERS
    for sample in shipped(name).samples
    for start in (b"", HEAD)
]
PIECES = [
    b"[198.51.100.7]: ", b"LOGIN authentication failed: y, sasl_username=z",
    b" from x[198.51.100.7]: 550 5.1.1 <z>: Recipient address rejected: User unknown",
    b" authentication failed: Invalid authentication mechanism", b": Can't connect to auth",
    b"; from=<a> to=<b> proto=ESMTP helo=<x> sasl_method=PLAIN sasl_username=z", b"User unknown",
    b">: Relay access denied", b">: SASL login name rejected: ", b">: Recipient address rejected: ",
    b", sasl_username=", b", sasl_method=PLAIN", b"(unavailable)", "\u2028".encode(), b"\r", b"\0",
    b'"', b"'", b">", b"<", b", ", b"]", b"[", b"\\", b" ", b";", b"?",
]  # fmt: skip
ENDS = st.builds(lambda text, at: text[at:], st.sampled_from(MESSAGES), st.integers(0, 200))
TEXTS = st.lists(st.binary(max_size=12) | st.sampled_from(PIECES) | ENDS, max_size=5).map(b"".join)


def printable(text: bytes) -> bytes:
    """As Postfix logs it: "?" for what is no UTF-8, and for control characters."""
    shown = text.decode("utf-8", "replace").replace("\ufffd", "?")
    return "".join("?" if sign < " " or sign == "\x7f" else sign for sign in shown).encode()


def escaped(text: bytes) -> bytes:
    """What a client says where nobody asked it, as smtpd and postscreen show it."""
    return printable(text[:100].replace(b"\\", b"\\\\").replace(b"\r", b"\\r"))


def bare(text: bytes) -> bytes:
    """An address as it is meant, without the quotes that it came in."""
    return b"<%b@example.net>" % printable(text)


def quoted(text: bytes) -> bytes:
    """An address as it is sent: in quotes, and so are quotes and backslashes in it."""
    return b'<"%b"@example.net>' % printable(text).replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def helo(text: bytes) -> bytes:
    """A HELO name without the bytes that Postfix takes out."""
    return bytes(ord("?") if sign in b'()<>\\";@ ' else sign for sign in printable(text))


CLEAN: dict[bytes, Callable[[bytes], bytes]] = {
    b"{text}": printable, b"{escaped}": escaped, b"{bare}": bare, b"{quoted}": quoted,
    b"{helo}": helo,
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A message with a client's text in it, the filter (if any) that counts it, who writes it."""

    text: bytes
    filter: str | None = POSTFIX
    tags: tuple[bytes, ...] = SMTPD

    def __str__(self) -> str:
        return self.text.decode()

    def filled(self, tag: bytes, mail: bytes, client: bytes, text: bytes) -> bytes:
        """The line from the tag on, before Postfix cuts it."""
        line = b"%b[77]: %b" % (tag, self.text.replace(b"{id}", mail))
        line = line.replace(b"{client}", client)
        for place, clean in CLEAN.items():
            line = line.replace(place, clean(text))
        return line

    def expected(self, tag: bytes) -> set[str]:
        """The filters that name the peer: unknown recipients at submission are typing errors."""
        elsewhere = self.filter == UNKNOWN and tag not in PORT_25
        return set() if self.filter is None or elsewhere else {self.filter}


RCPT = b"{id}: reject: RCPT from {client}: "
FROM = b"; from={quoted} to=<bob@example.org> proto=ESMTP helo=<x>"
TO = b"; from=<> to={quoted} proto=ESMTP helo=<x>"
NO_USER = b"Recipient address rejected: User unknown in virtual mailbox table"
REFUSALS = [
    Shape(RCPT + b"454 4.7.1 {quoted}: Relay access denied" + TO),
    Shape(RCPT + b"554 5.7.1 <a@b.example>: Relay access denied" + FROM),
    Shape(RCPT + b"554 5.7.1 {quoted}: Sender address rejected: Access denied" + FROM),
    Shape(RCPT + b"504 5.5.2 <{helo}>: Helo command rejected: Invalid name" + FROM),
    Shape(RCPT + b"554 5.7.1 {quoted}: Recipient address rejected: Access denied" + TO),
    Shape(RCPT + b"554 5.7.1 <x[203.0.113.5]>: Client host rejected: Access denied" + FROM),
    Shape(b"{id}: reject: DATA from {client}: 503 5.5.0 <DATA>: Data command rejected: No" + TO),
    Shape(RCPT + b"550 5.1.1 {quoted}: " + NO_USER + TO, UNKNOWN),
    Shape(RCPT + b"550 5.1.1 <bob@example.org>: " + NO_USER + FROM, UNKNOWN),
    Shape(RCPT + b"450 4.2.0 {quoted}: Recipient address rejected: Greylisted" + TO, None),
    Shape(b"{id}: reject: MAIL from {client}: 552 5.3.4 Message size exceeds limit" + FROM, None),
]  # fmt: skip
BLOCKED = b"Service unavailable; Client host [203.0.113.5] blocked using rbl.example.org; {text}"
SHAPES = [
    *REFUSALS,
    Shape(RCPT + b"554 5.7.1 " + BLOCKED + FROM),
    Shape(RCPT + b"451 4.7.1 " + BLOCKED + FROM, None),
    Shape(RCPT + b"554 5.7.1 {bare}: Relay access denied" + TO),
    Shape(RCPT + b"550 5.1.8 {bare}: Sender address rejected: Domain not found" + FROM),
    Shape(RCPT + b"550 5.7.23 {bare}: Recipient address rejected: {text}" + TO),
    Shape(RCPT + b"550 5.1.1 {bare}: " + NO_USER + TO, UNKNOWN),
    Shape(RCPT + b"450 4.1.1 {bare}: Recipient address rejected: unverified address" + TO, None),
    Shape(b"{id}: reject: EHLO from {client}: 501 5.5.2 <{helo}>: Helo command rejected: Invalid "
          b"name; proto=SMTP helo=<{helo}>"),
    Shape(b"{id}: reject: VRFY from {client}: 550 5.1.1 {bare}: " + NO_USER + b"; to={quoted} "
          b"proto=SMTP", UNKNOWN),
    Shape(b"{id}: reject_warning: RCPT from {client}: 554 5.7.1 {bare}: Relay access denied" + TO,
          None),
    Shape(b"{id}: milter-reject: RCPT from {client}: 554 5.7.1 {text}" + TO, None),
    Shape(b"improper command pipelining after EHLO from {client}: {escaped}"),
    Shape(b"warning: non-SMTP command from {client}: {escaped}"),
    Shape(b"PREGREET 9 after 0.1 from [203.0.113.5]:50122: {escaped}",
          tags=(b"postfix/postscreen",)),
    Shape(b"NOQUEUE: reject: RCPT from [203.0.113.5]:5: 550 5.7.1 Service unavailable; client "
          b"[203.0.113.5] blocked using x; from={quoted}, to={quoted}, proto=SMTP, helo=<{helo}>",
          tags=(b"postfix/postscreen",)),
    Shape(b"NOQUEUE: reject: RCPT from [203.0.113.5]:5: 450 4.3.2 Service currently unavailable; "
          b"from={quoted}, to={quoted}, proto=SMTP, helo=<{helo}>", None, (b"postfix/postscreen",)),
    Shape(b"{id}: warning: header Subject: {text} from {client}" + TO, None, (b"postfix/cleanup",)),
    Shape(b"{id}: reject: header Subject: {text} from {client}" + TO + b": 5.7.1 {text}", None,
          (b"postfix/cleanup",)),
    Shape(b"{id}: to=<a@b.example>, status=bounced (host mx.b.example said: {text} (in reply to "
          b"RCPT TO command))", None, (b"postfix/smtp", b"postfix/lmtp", b"postfix/error")),
    Shape(b"{text}", None, (b"postfix/postlog", b"postfix/smtp", b"kernel: postfix/smtpd")),
]  # fmt: skip


def found(text: bytes) -> list[LogEvent]:
    """What all filters together say of a line."""
    return list(filter_set(*FILTERS).read(HEAD + text + b"\n", NOW))


def reported(text: bytes) -> dict[str, str | None]:
    """The address that each filter reports for the line, which says nothing but failures."""
    signs = found(text)
    assert all(isinstance(sign, Failure) for sign in signs)
    return {sign.pattern.split("/")[0]: sign.address for sign in signs}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@BRIEFLY
@given(IDS, CLIENTS, TEXTS, st.data())
def test_nobody_but_the_peer_is_reported(
    shape: Shape, mail: bytes, client: bytes, text: bytes, data: st.DataObject
) -> None:
    """The peer is reported where it should be, and nowhere else; in a line cut short, perhaps."""
    tag = data.draw(st.sampled_from(shape.tags), "tag")
    line = shape.filled(tag, mail, client, text)
    if len(line) <= CUT_AT:
        assert reported(line) == dict.fromkeys(shape.expected(tag), PEER.decode())
    end = data.draw(st.integers(0, min(len(line), CUT_AT)), "end")
    assert set(reported(line[:end]).values()) <= {PEER.decode()}


@pytest.mark.parametrize("shape", REFUSALS, ids=str)
@BRIEFLY
@given(st.sampled_from(SMTPD), CLIENTS, TEXTS, st.sampled_from([b"", b"bob", b"bob b. smith"]))
def test_who_has_logged_in_is_left_alone(
    shape: Shape, tag: bytes, client: bytes, text: bytes, user: bytes
) -> None:
    """A refusal in a session with a login counts nowhere (Postfix tells since 3.10)."""
    login = b" sasl_method=PLAIN" + (b" sasl_username=" + user if user else b"")
    assert reported(shape.filled(tag, b"NOQUEUE", client, text) + login) == {}


FAILED = b"%b[77]: warning: %b: SASL %b authentication failed: %b"
MECHANISMS = st.sampled_from([b"LOGIN", b"SCRAM-SHA-256"])
REASONS = st.sampled_from([b"(reason unavailable)", b"UGFzc3dvcmQ6", b"", b"Locked, sorry, sasl_"])


@given(st.sampled_from(SMTPD), CLIENTS, MECHANISMS, REASONS, TEXTS)
@example(SMTPD[0], b"x[203.0.113.5]", b"LOGIN", b"", b"a, sasl_username=b")
def test_the_user_is_what_stands_behind_the_first_marker(
    tag: bytes, client: bytes, mechanism: bytes, reason: bytes, text: bytes
) -> None:
    """A failed login is the peer's, and its user is the whole name, whatever is in it."""
    name = printable(text[:LONGEST_NAME])
    for marked, user in ((b"", b""), (b", sasl_username=" + name, name)):
        (failure,) = found(FAILED % (tag, client, mechanism, reason + marked))
        assert (failure.pattern.split("/")[0], failure.address) == (SASL, PEER.decode())
        assert failure.user == (None if user in (b"", b"?", b"(unavailable)") else user.decode())


@given(CLIENTS, TEXTS)
@example(b"x[203.0.113.5]", b'"LOGIN authentication failed: y, sasl_username=alice"')
def test_a_mechanism_that_nobody_has_looked_at_is_no_failure(client: bytes, text: bytes) -> None:
    """Whatever a client asks for as mechanism (a word, or a text in quotes) counts for nobody."""
    for mechanism in (printable(text).replace(b" ", b""), b'"' + printable(text) + b'"'):
        reason = b"Invalid authentication mechanism: '%b', sasl_username=(unavailable)" % mechanism
        assert found(FAILED % (SMTPD[0], client, mechanism, reason)) == []


LOGIN = FAILED % (SMTPD[0], b"x[203.0.113.5]", b"LOGIN", b"(reason unavailable), sasl_username=b")
RELAY, STRANGE, LATER = (
    REFUSALS[at].filled(SMTPD[0], b"NOQUEUE", b"x[203.0.113.5]", b"bob") for at in (0, 7, 9)
)
QUIET = b"postfix/smtpd[77]: disconnect from mail.example.net[203.0.113.5] ehlo=1 quit=1 commands=2"


@pytest.mark.parametrize(
    ("text", "most"), [(LOGIN, 1), (RELAY, 1), (STRANGE, 2), (LATER, 1), (QUIET, 0)]
)
def test_a_line_meets_few_patterns(text: bytes, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a host is flooded with goes straight to the patterns that it fits."""
    tried: list[str] = []

    def find(pattern: Pattern, original: Find, line: Line) -> Finding | None:
        tried.append(pattern.full_name)
        return original(line)

    for pattern in (pattern for name in FILTERS for pattern in shipped(name).patterns):
        monkeypatch.setattr(pattern, "find", partial(find, pattern, pattern.find))
    filters = FilterSet([shipped(name) for name in FILTERS], LineParser(UTC))
    assert len(list(filters.read(text + b"\n", NOW))) <= len(tried) <= most, tried

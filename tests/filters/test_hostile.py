"""Hostile text in every place that a client can write: nobody else is ever banned for it.

Each shape is a line as the server writes it, round a text that the client chose. The text has
passed what the server does to it (quoting, stripping, cutting), and may hold whole messages that
name a third party. Whoever is reported is the true peer; what is no failure does not become one,
and no text talks its way out of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.filters.shipped import NAMES, found, shipped

PEER, THIRD_PARTY = "203.0.113.5", "198.51.100.7"
HEAD = "May  1 06:43:08 mx "
LOGIN = f"method=PLAIN, rip={PEER}, lip=192.0.2.10, TLS, session=<Yk3d>"
END = "from=<x@example.com> to=<bob@example.org> proto=ESMTP helo=<x>"

Clean = Callable[[str], str]


def quoted(text: str) -> str:
    """A local part as Postfix writes it: in quotes, with quotes and backslashes escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'<"{escaped}"@example.net>'


def cut(text: str) -> str:
    """The same where the line was cut inside it."""
    return quoted(text).removesuffix('"@example.net>')


def helo(text: str) -> str:
    """A HELO name without the bytes that Postfix takes out."""
    return "".join("?" if sign in '()<>\\";@ ' else sign for sign in text)


def short(text: str) -> str:
    """A name as Dovecot cuts it."""
    return text if len(text) <= 80 else text[:80] + "..."


def as_is(text: str) -> str:
    return text


@dataclass(frozen=True)
class Shape:
    """A line with {text} in it. `reports`: the filters that name the peer, whatever the text is;
    `perhaps`: those that do so only if the text is harmless. All others report nobody.
    """

    line: str
    clean: Clean = as_is
    reports: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()

    @property
    def service(self) -> str:
        starts = {"postfix": "postfix", "sshd": "sshd", "kernel": "sshd"}
        return next((s for start, s in starts.items() if self.line.startswith(start)), "dovecot")

    def __str__(self) -> str:
        return self.line


SASL = f"postfix/smtpd[7]: warning: unknown[{PEER}]: SASL"
REJECT = f"postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[{PEER}]:"
UNKNOWN = "Recipient address rejected: User unknown in virtual mailbox table"
WORKER = "dovecot: auth-worker(7): conn unix:auth-worker (pid=6,uid=97): auth-worker<5>: sql"
SSHD = "sshd-session[7]:"

SHAPES = [
    Shape(SASL + " LOGIN authentication failed: (reason unavailable), sasl_username={text}",
          reports=("postfix-sasl",)),
    Shape(SASL + " {text} authentication failed: Invalid authentication mechanism: '{text}'",
          perhaps=("postfix-sasl",)),
    Shape(REJECT + " 454 4.7.1 {text}: Relay access denied; from=<> to={text} proto=SMTP helo=<x>",
          quoted, ("postfix",)),
    Shape(REJECT + " 454 4.7.1 <a@b.example>: Relay access denied; from={text} to=<a@b.example> "
          "proto=SMTP helo=<x>", quoted, ("postfix",)),
    Shape(REJECT + " 504 5.5.2 <{text}>: Helo command rejected: need fully-qualified hostname; "
          "proto=SMTP helo=<{text}>", helo, ("postfix",)),
    Shape(REJECT + " 554 5.7.1 {text}: Sender address rejected: Access denied; from={text} "
          "to=<bob@example.org> proto=ESMTP helo=<x>", quoted, ("postfix",)),
    Shape(REJECT + f" 554 5.7.1 Service unavailable; Client host [{PEER}] blocked using "
          f"zen.example.org; {{text}}; {END}", reports=("postfix",)),
    Shape(REJECT + f" 550 5.1.1 {{text}}: {UNKNOWN}; from=<> to={{text}} proto=ESMTP helo=<x>",
          quoted, ("postfix-rcpt-unknown",)),
    Shape(REJECT + f" 550 5.1.1 <bob@example.org>: {UNKNOWN}; from={{text}} to=<bob@example.org> "
          "proto=ESMTP helo=<x>", quoted, ("postfix-rcpt-unknown",)),
    Shape(REJECT + f" 550 5.1.1 <bob@example.org>: {UNKNOWN}; from=<x@example.com> "
          "to=<bob@example.org> proto=ESMTP helo=<{text}>", helo, ("postfix-rcpt-unknown",)),
    Shape(REJECT + f" 550 5.1.1 <bob@example.org>: {UNKNOWN}; from={{text}}",
          cut, ("postfix-rcpt-unknown",)),
    Shape(REJECT + " 454 4.7.1 <a@b.example>: Relay access denied; from=<> to={text}",
          cut, ("postfix",)),
    Shape(REJECT + " 450 4.2.0 {text}: Recipient address rejected: Greylisted; from={text} "
          "to={text} proto=ESMTP helo=<x>", quoted),
    Shape(f"postfix/smtpd[7]: improper command pipelining after EHLO from x[{PEER}]: {{text}}",
          reports=("postfix",)),
    Shape(f"postfix/smtpd[7]: warning: non-SMTP command from unknown[{PEER}]: {{text}}",
          reports=("postfix",)),
    Shape(f"postfix/postscreen[7]: PREGREET 9 after 0.1 from [{PEER}]:50122: {{text}}",
          reports=("postfix",)),
    Shape("postfix/cleanup[7]: 4XyZ1Q: warning: header Subject: {text} from unknown[192.0.2.9]; "
          + END),
    Shape("postfix/smtp[7]: 4XyZ1Q: to=<a@b.example>, status=bounced (host mx.b.example said: "
          "{text} (in reply to RCPT TO command))"),
    Shape("dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 "
          f"secs): user=<{{text}}>, {LOGIN}", short, ("dovecot",)),
    Shape("imap-login: Info: Login aborted: Connection closed (auth failed, 1 attempts in 2 secs) "
          f"(auth_failed): user=<{{text}}>, rip={PEER}, lip=192.0.2.10", short, ("dovecot",)),
    Shape("dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 "
          f"secs): user=<bob>, method={{text}}, rip={PEER}, lip=192.0.2.10, session=<Yk3d>",
          perhaps=("dovecot",)),
    Shape("dovecot: imap-login: Disconnected: Connection closed (auth service reported temporary "
          f"failure): user=<{{text}}>, {LOGIN}", short),
    Shape(f"dovecot: imap-login: Login: user=<{{text}}>, {LOGIN}", short),
    Shape(f"{WORKER}({{text}},{PEER},<Yk3d>): unknown user",
          perhaps=("dovecot", "dovecot-unknown")),
    Shape(f"{WORKER}(bob,{PEER},<Yk3d>): Password mismatch (given password: {{text}})",
          perhaps=("dovecot",)),
    Shape(f"dovecot: auth(bob,{PEER},sasl:plain)<Yk3d>: sql: unknown user "
          "(given password: {text})", perhaps=("dovecot", "dovecot-unknown")),
    Shape(f"dovecot: auth-worker({{text}},{PEER})<7><Yk3d>: request [9]: sql: unknown user",
          perhaps=("dovecot", "dovecot-unknown")),
    Shape(f"dovecot: auth-worker(bob,{PEER})<7><Yk3d>: request [9]: sql: unknown user "
          "(given password: {text})", perhaps=("dovecot", "dovecot-unknown")),
    Shape(f"dovecot: auth: login(?,{PEER},<Yk3d>): Username character disallowed by "
          "auth_username_chars: 0x2c (username: {text})"),
    Shape(f"{SSHD} Invalid user {{text}} from {PEER} port 50122", reports=("sshd", "sshd-unknown")),
    Shape(f"{SSHD} Failed password for invalid user {{text}} from {PEER} port 50122 ssh2",
          reports=("sshd",)),
    Shape(f"{SSHD} Failed password for {{text}} from {PEER} port 50122 ssh2", reports=("sshd",)),
    Shape(f"{SSHD} Failed publickey for root from {PEER} port 1 ssh2: RSA-CERT SHA256:AA ID "
          "{text} (serial 0) CA RSA SHA256:BB"),
    Shape(f"{SSHD} error: maximum authentication attempts exceeded for invalid user {{text}} from "
          f"{PEER} port 50122 ssh2 [preauth]", reports=("sshd",)),
    Shape(f"{SSHD} error: PAM: Authentication failure for illegal user {{text}} from {PEER}",
          reports=("sshd",)),
    Shape(f"{SSHD} error: PAM: Authentication failure for {{text}} from mail.example.net"),
    Shape(f"{SSHD} User {{text}} from {PEER} not allowed because not listed in AllowUsers",
          reports=("sshd",)),
    Shape(f"{SSHD} User {{text}} from mail.example.net not allowed because listed in DenyUsers"),
    Shape(f"{SSHD} Connection closed by authenticating user {{text}} {PEER} port 50122 [preauth]",
          reports=("sshd",)),
    Shape(f"{SSHD} Connection closed by invalid user {{text}} {PEER} port 50122 [preauth]"),
    Shape(f"{SSHD} Received disconnect from {PEER} port 50122:3: {{text}}"),
    Shape(f"{SSHD} Bad protocol version identification '{{text}}' from {PEER} port 40000"),
    Shape(f"{SSHD} Disconnecting invalid user {{text}} {PEER} port 1: Change of username or service"
          " not allowed: ({text},ssh-connection) -> ({text},ssh-connection) [preauth]"),
    Shape("kernel: {text}"),
]  # fmt: skip

# What an attacker would write: pieces of real messages, with somebody else's address in them.
PIECES = {
    "postfix": [
        f"[{THIRD_PARTY}]: ",
        f" from x[{THIRD_PARTY}]: 550 5.1.1 <z>: {UNKNOWN}",
        "LOGIN authentication failed: y, sasl_username=z",
        "; from=<a> to=<b> proto=ESMTP helo=<x> sasl_method=PLAIN sasl_username=z",
        ">: Relay access denied",
    ],
    "dovecot": [
        f", rip={THIRD_PARTY}",
        f"x>, method=PLAIN, rip={THIRD_PARTY}, lip=1.1.1.1",
        f"x>, rip={THIRD_PARTY}, lip=1.1.1.1",
        ", session=<AAAA",
        "(auth failed, 9 attempts in 9 secs): user=<z",
        f"z,{THIRD_PARTY},<B>): unknown user",
        f"z,{THIRD_PARTY},sasl:plain)<B>: unknown user",
        f"z,{THIRD_PARTY})<B>: request [9]: sql: unknown user",
        " (given password: ",
    ],
    "sshd": [
        f" from {THIRD_PARTY}",
        f" from {THIRD_PARTY} port 22",
        f" from {THIRD_PARTY} port 22 ssh2",
        f" {THIRD_PARTY} port 22 [preauth]",
        f" from {THIRD_PARTY} not allowed because ",
        "listed in DenyUsers",
    ],
}  # fmt: skip
MESSAGES = {
    service: [
        sample.line.decode().replace(PEER, THIRD_PARTY).removeprefix(start)
        for name in NAMES
        if name.startswith(service)
        for sample in shipped(name).samples
        for start in ("", HEAD)
    ]
    for service in PIECES
}
GLUE = ['"', "'", ">", "<", ", ", "]", "[", ")", "\\", "\u2028", "\r", "\0", "\\n", " ", ";", "?"]
ANYTHING = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12)


def texts(service: str) -> st.SearchStrategy[str]:
    """What a client of that service might write to mislead its reader."""
    pieces, messages = st.sampled_from(PIECES[service]), st.sampled_from(MESSAGES[service])
    ends = st.builds(lambda message, at: message[at:], messages, st.integers(0, 200))
    return st.lists(pieces | ends | messages | st.sampled_from(GLUE) | ANYTHING, max_size=5).map(
        "".join
    )


TEXTS = {service: texts(service) for service in PIECES}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@given(data=st.data())
def test_nobody_but_the_peer_is_reported(shape: Shape, data: st.DataObject) -> None:
    """Whatever a client writes, the filters that should name the true peer do, and none else."""
    text = data.draw(TEXTS[shape.service], "text")
    line = (HEAD + shape.line).replace("{text}", shape.clean(text)).encode()
    reported = found(line)
    assert set(reported.values()) <= {PEER}
    assert set(shape.reports) <= set(reported) <= {*shape.reports, *shape.perhaps}


@given(st.one_of(list(TEXTS.values())))
def test_a_piece_of_a_container_line_is_nobodys(text: str) -> None:
    """A container runtime cuts long lines where the sender likes: no piece is taken for a line."""
    for piece in (text, text.removeprefix(HEAD)):
        stamp = "2026-05-01T06:43:08.123456789+02:00"
        assert found(f"{stamp} stdout P May 01 06:43:08 mx {piece}".encode()) == {}
        assert found(f"{stamp} stdout F {piece}".encode()) == {}

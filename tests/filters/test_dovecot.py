"""What Dovecot writes round a client's text: whoever is reported, of whatever kind, is the peer.

The lines are made as Dovecot makes them: control characters and what is no UTF-8 become question
marks, and names are cut. Login lines hold any name, even one that auth_username_chars refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailbanned.model import Failure, LogEvent, LoginSucceeded, OutageReported
from tests.filters.shipped import NOW, filter_set, shipped

PEER, THIRD_PARTY = "203.0.113.5", "198.51.100.7"
HEAD = "May  1 06:43:08 mx dovecot: "
FILTERS = ("dovecot", "dovecot-unknown")


def sanitized(text: str, most: int) -> str:
    """As str_sanitize writes it; `most` counts bytes."""
    clean = "".join("?" if char < " " or char == "\x7f" else char for char in text).encode()
    if len(clean) <= most:
        return clean.decode()
    return clean[: most - 3].decode("utf-8", "ignore") + "..."


def name_in_login(text: str) -> str:
    return sanitized(text, 80)


def name_in_auth(text: str) -> str:
    return sanitized(text, 64)


def name_in_lookup(text: str) -> str:
    """With the auth_username_chars that are Dovecot's own."""
    return "".join(re.findall(r"[A-Za-z0-9.@_-]", name_in_auth(text)))


def password(text: str) -> str:
    return sanitized(text, 1024)


def mechanism(text: str) -> str:
    """Dovecot makes it upper case, but the filter does without that."""
    return sanitized(text, 64)


def upper(text: str) -> str:
    return mechanism(text).upper()


class Shape(NamedTuple):
    """A message with {text} in it, which `clean` makes of what the client sends.

    says: what the filters must find ("filter", or the kind of a sign), whatever the text is.
    perhaps: what they find only if the text is harmless.
    """

    text: str
    clean: Callable[[str], str]
    says: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()


def shape(text: str, clean: Callable[[str], str], says: str = "", perhaps: str = "") -> Shape:
    return Shape(text, clean, frozenset(says.split()), frozenset(perhaps.split()))


LOGIN_2_3 = "imap-login: Disconnected: Connection closed"
LOGIN_2_4 = "imap-login: Login aborted: Connection closed"
REST = f"method=PLAIN, rip={PEER}, lip=192.0.2.10, TLS, session=<Yk3d>"
WORKER = "auth-worker(7): conn unix:auth-worker (pid=6,uid=97): auth-worker<5>:"
BOTH = "dovecot dovecot-unknown"
SHAPES = [
    shape(f"{LOGIN_2_3} (auth failed, 1 attempts in 2 secs): user=<{{text}}>, {REST}",
          name_in_login, "dovecot"),
    shape(f"{LOGIN_2_4} (auth failed, 1 attempts in 2 secs) (auth_failed): user=<{{text}}>, {REST}",
          name_in_login, "dovecot"),
    shape(f"pop3-login: Aborted login (auth failed, 1 attempts): user=<{{text}}>, rip={PEER}, "
          "lip=192.0.2.10", name_in_login, "dovecot"),
    shape(f"{LOGIN_2_3} (auth failed, 1 attempts in 2 secs): user=<bob>, method={{text}}, "
          f"rip={PEER}, lip=192.0.2.10, session=<Yk3d>", mechanism, "", "dovecot"),
    shape(f"{LOGIN_2_3} (auth service reported temporary failure): user=<{{text}}>, {REST}",
          name_in_login, "outage"),
    shape(f"{LOGIN_2_4} (auth service reported temporary failure, 1 attempts in 2 secs) "
          f"(temp_fail): user=<{{text}}>, {REST}", name_in_login, "outage"),
    shape(f"{LOGIN_2_4} (user disabled, 1 attempts in 2 secs) (user_disabled): user=<{{text}}>, "
          + REST, name_in_login),
    shape(f"{LOGIN_2_3} (no auth attempts in 2 secs): user=<{{text}}>, {REST}", name_in_login),
    shape(f"imap-login: Authenticate {{text}} failed: Unsupported authentication mechanism.: "
          f"user=<>, method={{text}}, rip={PEER}, lip=192.0.2.10, session=<Yk3d>", upper),
    shape(f"imap-login: Login: user=<{{text}}>, {REST}", name_in_login, "", "success"),
    shape(f"imap-login: Logged in: user=<{{text}}>, {REST}", name_in_login, "", "success"),
    shape(f"{WORKER} sql({{text}},{PEER},<Yk3d>): unknown user", name_in_auth, "", BOTH),
    shape(f"auth: passwd-file({{text}},{PEER},<Yk3d>): Password mismatch", name_in_auth,
          "", "dovecot"),
    shape(f"auth({{text}},{PEER},sasl:plain)<Yk3d>: ldap: unknown user", name_in_auth, "", BOTH),
    shape(f"auth-worker({{text}},{PEER})<7><Yk3d>: request [9]: sql: unknown user", name_in_auth,
          "", BOTH),
    shape(f"{WORKER} pam({{text}},{PEER}): pam_authenticate() failed: Authentication failure "
          "(Password mismatch?)", name_in_auth, "", "dovecot"),
    shape(f"auth: ldap({{text}},{PEER},<Yk3d>): Password mismatch (for LDAP bind)", name_in_auth,
          "", "dovecot"),
    shape(f"{WORKER} sql({{text}},{PEER},<Yk3d>): Password mismatch (given password: secret)",
          name_in_auth, "", "dovecot"),
    shape(f"auth({{text}},{PEER},sasl:plain): passwd-file: unknown user (given password: x (y) z)",
          name_in_auth, "", BOTH),
    shape(f"auth: checkpassword({{text}},{PEER}): Login failed (status=1)", name_in_auth),
    shape(f"{WORKER} ldap({{text}},{PEER},<Yk3d>): No password returned (and no nopassword)",
          name_in_auth),
    shape(f"auth-worker({{text}},{PEER})<7><Yk3d>: request [9]: Error: sql: Password query failed: "
          "Lost connection to server during query", name_in_auth, "", "outage"),
    shape(f"{WORKER.replace(': conn', ': Error: conn')} sql({{text}},{PEER},<Yk3d>): Password query"
          " failed: Lost connection to server during query", name_in_auth, "", "outage"),
    shape(f"auth: Error: ldap(bob,{PEER},<Yk3d>): ldap_search(base=dc=example filter=(uid={{text}})"
          ") failed: Bad search filter", name_in_auth, "", "outage"),
    shape("auth: sql({text}): unknown user", name_in_lookup),
    shape(f"auth: plain(?,{PEER},<Yk3d>): Username character disallowed by auth_username_chars: "
          "0x2c (username: {text})", name_in_login),
    shape(f"auth(?,{PEER},sasl:plain)<Yk3d>: plain: Username character disallowed by "
          "auth_username_chars: 0x2c (username: {text})", name_in_login),
    shape(f"{WORKER} sql(bob,{PEER},<Yk3d>): Password mismatch (given password: {{text}})",
          password, "", "dovecot"),
    shape(f"{WORKER} sql(bob,{PEER},<Yk3d>): unknown user (given password: {{text}})", password,
          "", BOTH),
    shape(f"auth-worker(bob,{PEER})<7><Yk3d>: request [9]: sql: unknown user (given password: "
          "{text})", password, "", BOTH),
    shape(f"auth(bob,{PEER},sasl:plain)<Yk3d>: passwd-file: Password mismatch (given password: "
          "{text})", password, "", "dovecot"),
    shape(f"auth(bob,{PEER},sasl:plain)<Yk3d>: passwd-file: Password mismatch (given password: "
          "{text}) - trying the next passdb", password),
    shape("auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot "
          f"ruser={{text}} rhost={PEER}", password),
    shape("imap({text})<99><Yk3d>: Disconnected: Logged out in=10 out=500", name_in_login),
    shape("lmtp(99): Error: {text}", password),
]  # fmt: skip

# What an attacker would write: pieces of real messages, with somebody else's address in them.
PIECES = [
    f", rip={THIRD_PARTY}",
    f"x>, method=PLAIN, rip={THIRD_PARTY}, lip=1.1.1.1",
    f"x>, rip={THIRD_PARTY}, lip=1.1.1.1",
    ", session=<AAAA",
    "(auth failed, 9 attempts in 9 secs): user=<z",
    "(auth service reported temporary failure): user=<z",
    f"z,{THIRD_PARTY},<B>): unknown user",
    f"z,{THIRD_PARTY}): unknown user (given password: ",
    f"z,{THIRD_PARTY}): Password query failed: ",
    f"z,{THIRD_PARTY},sasl:x): a: unknown user (given password: ",
    f"z,{THIRD_PARTY},sasl:plain)<B>: sql: unknown user",
    f"z,{THIRD_PARTY})<7><B>: request [9]: sql: unknown user",
    "): Error: mysql(h): Connect failed to database (d): x",
    ": Password query failed: Not connected to database",
    " (given password: ",
    " - trying the next passdb",
]  # fmt: skip
MESSAGES = [
    sample.line.decode().replace(PEER, THIRD_PARTY).removeprefix(start)
    for name in FILTERS
    for sample in shipped(name).samples
    for start in ("", "May  1 06:43:08 mx ", HEAD)
]
GLUE = [">", "<", ", ", ")", "(", ": ", "\u2028", "\r", "\n", "\0", "\\n", " ", "?", "'"]
ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_MESSAGES = st.sampled_from(MESSAGES)
_ENDS = st.builds(lambda message, at: message[at:], _MESSAGES, st.integers(0, 200))
TEXTS = st.lists(
    st.sampled_from(PIECES) | _ENDS | _MESSAGES | st.sampled_from(GLUE) | ANYTHING, max_size=4
).map("".join)


def findings(shape: Shape, text: str) -> list[LogEvent]:
    """All that is found in the line that Dovecot writes for a client's text."""
    line = HEAD + shape.text.replace("{text}", shape.clean(text)) + "\n"
    return list(filter_set(*FILTERS).read(line.encode(), NOW))


def said(event: LogEvent) -> str:
    if isinstance(event, LoginSucceeded):
        return "success"
    return "outage" if isinstance(event, OutageReported) else event.pattern.split("/")[0]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.text)
@given(text=TEXTS)
def test_nobody_but_the_peer_is_spoken_of(shape: Shape, text: str) -> None:
    """Whatever the text is, what must be found is, and nothing is said of another, or of all."""
    found = findings(shape, text)
    assert {event.address for event in found} <= {PEER}
    assert shape.says <= {said(event) for event in found} <= shape.says | shape.perhaps


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.text)
@pytest.mark.parametrize("text", ["info", "bob@example.org", "A.b_c-9", "-", "Info", "n" * 60])
def test_an_ordinary_text_hides_nothing(shape: Shape, text: str) -> None:
    """With what auth_username_chars lets through by itself, everything is found that can be."""
    found = findings(shape, text)
    assert {said(event) for event in found} == shape.says | shape.perhaps
    assert {event.user for event in found} <= {text, "bob"}


@given(text=TEXTS)
def test_a_name_of_a_login_is_told_as_it_was_written(text: str) -> None:
    """However a name looks, it is told whole, and the session with it."""
    name = name_in_login(text)
    assume(name not in ("", "?"))
    (failure,) = findings(SHAPES[0], text)
    assert isinstance(failure, Failure)
    assert (failure.user, failure.session) == (name, "Yk3d")

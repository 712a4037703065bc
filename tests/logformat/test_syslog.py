"""LineParser: what precedes the program tag is removed, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Line

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
THEN = datetime(2026, 5, 1, 6, 43, 8, tzinfo=UTC).timestamp()
BERLIN = ZoneInfo("Europe/Berlin")
CRI = b"2026-05-01T08:43:08.000000000+02:00 stdout F "
TAI = b"@4000000069f44b8600000000 "


def line(raw: bytes, parser: LineParser | None = None) -> Line:
    return Line(*(parser or LineParser(UTC)).parse(raw, 1, NOW))


def text(raw: bytes) -> bytes:
    return line(raw).text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"May  1 06:43:08 mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"<22>May  1 06:43:08 mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"<22>May  1 06:43:08 postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"May 01 06:43:08 mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"May 01 06:43:08.000000 mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"2026-05-01T06:43:08Z mx.example.org sshd[1]: x", b"sshd[1]: x"),
        (b"2026-05-01T08:43:08.000000+02:00 mx sshd[1]: x", b"sshd[1]: x"),
        (b"2026-05-01T06:43:08+0000 mx sshd[1]: x", b"sshd[1]: x"),
        (b"<22>2026-05-01T08:43:08.000000+02:00 mx sshd[1]: x", b"sshd[1]: x"),
        (b"2026-05-01 06:43:08,000 mx sshd[1]: x", b"sshd[1]: x"),
        (b"Fri 2026-05-01 06:43:08 UTC mx sshd[1]: x", b"sshd[1]: x"),
        (b"1777617788.000000 mx sshd[1]: x", b"sshd[1]: x"),
        (b"May  1 06:43:08 mx dovecot: imap-login: x", b"dovecot: imap-login: x"),
        (b"May  1 06:43:08 mx mail.warn postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"May  1 06:43:08 mail.warn postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"May  1 06:43:08 mail.info auth.info sshd[1]: x", b"sshd[1]: x"),
        (b"May  1 06:43:08 <mail.warn> mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"May  1 06:43:08 <2.4> mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"May  1 06:43:08 sshd[1]: x", b"sshd[1]: x"),
        (b"May 01 06:43:08 imap-login: Info: x", b"imap-login: Info: x"),
        (b"May 01 06:43:08 auth-worker(77): Info: x", b"auth-worker(77): Info: x"),
        (b"May 01 06:43:08 auth(bob,203.0.113.5,sasl:plain)<S>: x",
         b"auth(bob,203.0.113.5,sasl:plain)<S>: x"),
        (b"May  1 06:43:08 mx sshd[1]: x\r", b"sshd[1]: x"),
        (CRI + b"May 01 06:43:08 mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (CRI + b"Feb 29 23:59:60 mx postfix/smtpd[1]: x\r", b"postfix/smtpd[1]: x"),
        (CRI + b"May 01 06:43:08 imap-login: Info: x", b"imap-login: Info: x"),
        (CRI + b"sshd[1]: x", b"sshd[1]: x"),
        (CRI + b"<38>1 - mx sshd 1 - - x", b"sshd[1]: x"),
        (CRI, b""),
        (CRI.replace(b"out F", b"err F") + b"May  1 06:43:08 mx sshd[1]: x", b"sshd[1]: x"),
        (TAI + b"mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (TAI + b"postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (TAI + b"May 01 06:43:08 mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
    ],
)  # fmt: skip
def test_stamp_and_host_are_taken_off(raw: bytes, expected: bytes) -> None:
    """What is left of a line starts with the program tag, and the outer stamp is its time."""
    assert line(raw) == Line(1, THEN, expected, 1)


@pytest.mark.parametrize(
    "raw", [b"sshd[1]: x", b"", b"\r", b"kernel: sshd[1]: x", b"<22>sshd[1]: x"]
)
def test_what_has_no_stamp_is_text(raw: bytes) -> None:
    """Without a stamp there is no host, and the text begins where the line begins."""
    assert line(raw) == Line(1, None, raw.rstrip(b"\r"), 1)


@pytest.mark.parametrize(
    "raw",
    [
        b"May  1 06:43:08 mx kernel: sshd[1]: x",
        b"May  1 06:43:08 kernel: sshd[1]: x",
        b"May  1 06:43:08 mx systemd[1]: sshd[1]: x",
        b"May  1 06:43:08 mx relay sshd[1]: x",
        b"May  1 06:43:08 mx mail.warn: sshd[1]: x",
        b"May  1 06:43:08 mx mail.warn mail.warn sshd[1]: x",
        b"May  1 06:43:08 mx mail.warning2 sshd[1]: x",
        b"May  1 06:43:08 mx <mail.warn> sshd[1]: x",
        b"May  1 06:43:08 mx May  1 06:43:08 mx sshd[1]: x",
        b"no stamp sshd[1]: x",
        b"<22> sshd[1]: x",
        b"<22><22>May  1 06:43:08 mx sshd[1]: x",
        b'{"log":"May 01 06:43:08 mx sshd[1]: x"}',
        b"2026-05-01T06:43:08Z stdout P May 01 06:43:08 mx sshd[1]: x",
        b"2026-05-01 06:43:08 stdout F May 01 06:43:08 mx sshd[1]: x",
        b"2026-05-01T06:43:08Z mx stdout F sshd[1]: x",
        b"May  1 06:43:08 stdout F May 01 06:43:08 mx sshd[1]: x",
        CRI + b"mx sshd[1]: x",
        CRI + b"May 01 06:43:08 mx kernel: sshd[1]: x",
        CRI + CRI + b"May 01 06:43:08 mx sshd[1]: x",
        CRI + CRI.replace(b" F", b" P") + b"sshd[1]: x",
        CRI + TAI + b"May 01 06:43:08 mx sshd[1]: x",
        TAI + CRI + b"sshd[1]: x",
        b"<38>1 2026-05-01T06:43:08Z mx kernel 1 - - sshd[1]: x",
        b"<38>1 2026-05-01T06:43:08Z mx sshd[1]: x",
        b'<38>1 2026-05-01T06:43:08Z mx kernel - - [a b="] sshd[1]: x',
        b"<38>1 - sshd[1]: x",
    ],
)
def test_a_tag_further_right_is_not_the_tag(raw: bytes) -> None:
    """Only one host name is taken off: what another program quotes never comes to the front."""
    assert not text(raw).startswith(b"sshd")


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (b"sshd 4711 - - x: y", b"sshd[4711]: x: y"),
        (b"sshd 4711 ID7 -  x", b"sshd[4711]: x"),
        (b"sshd - - - x", b"sshd: x"),
        (b"- - - - x", b"-: x"),
        (b"sshd 4711 - - \xef\xbb\xbfx", b"sshd[4711]: x"),
        (b'sshd 4711 - [a@1 b="c"] x', b"sshd[4711]: x"),
        (b'sshd 4711 - [a@1 b="\\"]" c="\\\\"][d] x', b"sshd[4711]: x"),
        (b'sshd 4711 - [a@1 b="]\\] [e] f"] x', b"sshd[4711]: x"),
        (b"sshd 4711 - [a] x] [b] ROOT LOGIN REFUSED", b"sshd[4711]: x] [b] ROOT LOGIN REFUSED"),
        (b"sshd 4711 - - [a] x", b"sshd[4711]: [a] x"),
        (b"sshd 4711 - -", b"sshd[4711]: "),
        (b"sshd 4711 - - x\r", b"sshd[4711]: x"),
    ],
)  # fmt: skip
def test_the_fields_of_rfc_5424(rest: bytes, expected: bytes) -> None:
    """Program and process become a tag; structured data ends where its quotes say."""
    assert line(b"<38>1 2026-05-01T08:43:08.000+02:00 mx " + rest) == Line(1, THEN, expected)
    assert line(b"<38>1 - mx " + rest) == Line(1, None, expected)


@pytest.mark.parametrize(
    ("rest", "expected", "times"),
    [
        (b"message repeated 2 times: [ x [preauth]]", b"x [preauth]", 2),
        (b"message repeated 9 times: [x]", b"x", 9),
        (b"message repeated 999999999 times: [ x]", b"x", 10),
        (b"message repeated 0 times: [ x]", b"x", 1),
        (b"message repeated 2 times: [ message repeated 5 times: [ x]]",
         b"message repeated 5 times: [ x]", 2),
        (b"message repeated 2 times: [ " + 798 * b"x" + b"]", 798 * b"x", 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "front", [b"May  1 06:43:08 mx ", b"", CRI + b"May  1 06:43:08 mx ", b"May  1 06:43:08 "]
)
def test_repeated_messages_are_unfolded(
    front: bytes, rest: bytes, expected: bytes, times: int
) -> None:
    """A message that a logger folded is as if it came alone, with the number of repeats."""
    parser = LineParser(UTC)
    line(front + b"sshd[7]: x", parser)
    found = line(front + b"sshd[1]: " + rest, parser)
    assert (found.text, found.repeats) == (b"sshd[1]: " + expected, times)


@pytest.mark.parametrize(
    "rest",
    [
        b"message repeated 2 times: [ x",
        b"message repeated two times: [ x]",
        b"message repeated 2 times: x]",
        b"message repeated -2 times: [ x]",
        b"x message repeated 2 times: [ x]",
        b"message repeated 2 times: [ " + 799 * b"x" + b"]",
    ],
)
def test_what_only_looks_repeated_is_left_alone(rest: bytes) -> None:
    """Only whole messages are unfolded: what may have been cut off keeps its wrapping."""
    raw = b"sshd[1]: " + rest
    assert line(raw) == Line(1, None, raw, 1)


def test_a_line_separator_is_text() -> None:
    """What ends a line for Unicode ends none here, and no tag behind it comes to the front."""
    for separator in ("\u2028", "\u2029", "\x85", "\r", "\0"):
        rest = f"postfix/smtpd[1]: x{separator}May  1 06:43:09 mx postfix/smtpd[1]: y".encode()
        assert text(b"May  1 06:43:08 mx " + rest) == rest


def test_number_and_time_are_kept() -> None:
    """A line carries the number that it was given and its own time."""
    found = Line(*LineParser(UTC).parse(b"May  1 06:43:08 mx sshd[1]: x", 17, NOW))
    assert (found.number, found.at) == (17, THEN)
    assert line(b"sshd[1]: x").at is None

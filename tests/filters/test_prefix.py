"""split: what stands before the program tag goes, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbanned.filters import Stamps, split

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
THEN = datetime(2026, 5, 1, 6, 43, 8, tzinfo=UTC).timestamp()


def text(raw: bytes) -> bytes:
    return split(raw, 1, Stamps(UTC), NOW).text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"May  1 06:43:08 mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"May 01 06:43:08 mx postfix/smtpd[1]: x", b"postfix/smtpd[1]: x"),
        (b"2026-05-01T06:43:08Z mx.example.org sshd[1]: x", b"sshd[1]: x"),
        (b"May  1 06:43:08 mx dovecot: imap-login: x", b"dovecot: imap-login: x"),
        (b"May  1 06:43:08 sshd[1]: x", b"sshd[1]: x"),
        (b"May 01 06:43:08 imap-login: Info: x", b"imap-login: Info: x"),
        (b"May 01 06:43:08 auth-worker(77): Info: x", b"auth-worker(77): Info: x"),
        (b"May 01 06:43:08 auth(bob,203.0.113.5,sasl:plain)<S>: x",
         b"auth(bob,203.0.113.5,sasl:plain)<S>: x"),
        (b"May  1 06:43:08 mx sshd[1]: x\r", b"sshd[1]: x"),
        (b"sshd[1]: x", b"sshd[1]: x"),
        (b"", b""),
        (b"\r", b""),
    ],
)  # fmt: skip
def test_stamp_and_host_are_taken_off(raw: bytes, expected: bytes) -> None:
    """What is left of a line starts with the program tag, with or without a host before it."""
    assert text(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"May  1 06:43:08 mx kernel: sshd[1]: x",
        b"May  1 06:43:08 kernel: sshd[1]: x",
        b"May  1 06:43:08 mx systemd[1]: sshd[1]: x",
        b"May  1 06:43:08 mx relay sshd[1]: x",
        b"no stamp sshd[1]: x",
        b"2026-05-01T06:43:08Z stdout P May 01 06:43:08 mx sshd[1]: x",
        b'{"log":"May 01 06:43:08 mx sshd[1]: x"}',
    ],
)
def test_a_tag_further_right_is_not_the_tag(raw: bytes) -> None:
    """Only one host name is taken off: what another program quotes never comes to the front."""
    assert not text(raw).startswith(b"sshd")


def test_number_and_time_are_kept() -> None:
    """A line carries the number that it was given and its own time."""
    line = split(b"May  1 06:43:08 mx sshd[1]: x", 17, Stamps(UTC), NOW)
    assert (line.number, line.at) == (17, THEN)
    assert split(b"sshd[1]: x", 1, Stamps(UTC), NOW).at is None


@given(st.binary(max_size=80) | st.binary(max_size=40).map(b"May  1 06:43:08 ".__add__))
def test_nothing_raises_and_nothing_is_made_up(raw: bytes) -> None:
    """The text is the end of the raw line, whatever its bytes."""
    assert raw.removesuffix(b"\r").endswith(text(raw))

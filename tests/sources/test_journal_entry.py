"""Journal records: which are believed, and how they read as lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mailbanned.sources.journal import entry
from mailbanned.sources.journal.entry import is_trusted, match_arguments, output_fields, parse_entry

SSHD = {
    "__CURSOR": "s=1;i=2",
    "__REALTIME_TIMESTAMP": "1777610588123456",
    "_HOSTNAME": "mx",
    "_UID": "0",
    "_PID": "77",
    "SYSLOG_IDENTIFIER": "sshd",
    "MESSAGE": "Invalid user x from 192.0.2.1 port 22",
}
POSTFIX = SSHD | {"SYSLOG_IDENTIFIER": "postfix/smtpd", "_SYSTEMD_UNIT": "postfix.service"}
PREFIX = b"2026-05-01T04:43:08.123456+00:00 mx "


def line(told: dict[str, Any], *entries: str) -> bytes | None:
    """The line of a record, None if it is not believed of any of the entries."""
    record = parse_entry(json.dumps(told).encode())
    assert record is not None
    assert record.cursor == (1777610588123456, "s=1;i=2")
    believed = any(is_trusted(record, entry) for entry in entries or ("sshd",))
    return entry.to_syslog_line(record) if believed else None


def test_a_record_reads_like_a_line_of_syslog() -> None:
    """Time with offset, host, tag with process id, message, LF."""
    assert line(SSHD) == PREFIX + b"sshd[77]: Invalid user x from 192.0.2.1 port 22\n"
    assert line(POSTFIX, "sshd", "postfix") == PREFIX + (
        b"postfix/smtpd[77]: Invalid user x from 192.0.2.1 port 22\n"
    )


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("", b""),
        ([97, 0, 255, 10, 98], b"a\0\xff\\nb"),
        ("two\nlines\n", b"two\\nlines\\n"),
        ("\u2028 \u00e9", "\u2028 \u00e9".encode()),
        ("\ud800", b"?"),
    ],
)
def test_a_message_is_always_one_line(message: object, text: bytes) -> None:
    """Whatever bytes a message has, it cannot begin a line of its own."""
    assert line(SSHD | {"MESSAGE": message}) == PREFIX + b"sshd[77]: " + text + b"\n"


@pytest.mark.parametrize(
    "told",
    [
        {"_UID": "1000"},
        {"_UID": None},
        {"_UID": ["0", "0"]},
        {"SYSLOG_IDENTIFIER": "sudo"},
        {"SYSLOG_IDENTIFIER": ["sshd", "x"]},
        {"SYSLOG_IDENTIFIER": None},
        {"_EXE": "/home/eve/sshd"},
        {"_EXE": ["/usr/sbin/sshd", "/usr/x"]},
        {"_TRANSPORT": "journal"},
        {"_TRANSPORT": "kernel"},
        {"MESSAGE": None},
        {"MESSAGE": ["a", "b"]},
        {"MESSAGE": [256]},
        {"MESSAGE": [10**30]},
        {"MESSAGE": {"a": 1}},
    ],
)
def test_what_is_not_believed_of_sshd(told: dict[str, Any]) -> None:
    """A record that sshd cannot have written, or whose message is not certain, is no line."""
    assert line(SSHD | told) is None


@pytest.mark.parametrize(
    "told",
    [
        {"SYSLOG_IDENTIFIER": "sshd-auth", "_EXE": "/usr/libexec/openssh/sshd-auth"},
        {"_SYSTEMD_UNIT": "sshd@1-192.0.2.1.service", "_TRANSPORT": "syslog"},
        {"_SYSTEMD_UNIT": "session-3.scope", "_TRANSPORT": "stdout"},
    ],
)
def test_what_is_believed_of_sshd(told: dict[str, Any]) -> None:
    """sshd's helpers, sockets and processes without a known unit are sshd all the same."""
    for unit in ("sshd.service", "ssh", "sshd@.service"):
        assert line(SSHD | told, unit) is not None


def test_another_unit_is_believed_by_its_unit() -> None:
    """For all other services the kernel's unit and a system user decide, not the identifier."""
    assert line(POSTFIX, "postfix.service") is not None
    assert line(POSTFIX | {"_UID": "89"}, "postfix.service") is not None
    assert line(POSTFIX | {"_UID": None}, "postfix.service") is None
    assert line(POSTFIX | {"_UID": "1000"}, "postfix.service") is None
    assert line(POSTFIX | {"_SYSTEMD_UNIT": "user@1000.service"}, "postfix.service") is None
    assert line(POSTFIX, "dovecot") is None


def test_a_match_is_believed_of_system_users() -> None:
    """A record with that field and value counts if root or a system user wrote it."""
    match = "CONTAINER_NAME=mail=1"
    told = POSTFIX | {"CONTAINER_NAME": "mail=1"}
    assert line(told, match) is not None
    assert line(told | {"_UID": "89"}, match) is not None
    assert line(told | {"_UID": "1000"}, match) is None
    assert line(told | {"_UID": None}, match) is None
    assert line(told | {"CONTAINER_NAME": ["mail=1", "x"]}, match) is None
    assert line(told | {"CONTAINER_NAME": "mail"}, match) is None
    assert line(POSTFIX, match) is None


@pytest.mark.parametrize(
    ("field", "value", "head"),
    [
        ("_HOSTNAME", "mx sshd[1]: ", b"mx_sshd_1___ sshd[77]: "),
        ("_HOSTNAME", None, b"- sshd[77]: "),
        ("_PID", "7]: x", b"mx sshd: "),
        ("_PID", None, b"mx sshd: "),
    ],
)
def test_no_field_passes_for_another(field: str, value: object, head: bytes) -> None:
    """Host, identifier and process id cannot smuggle in another part of the line."""
    told = line(SSHD | {field: value})
    assert told is not None
    assert told.startswith(PREFIX[:-3] + head)


def test_an_odd_identifier_is_made_safe() -> None:
    """An identifier with blanks and brackets stays one word."""
    told = line(POSTFIX | {"SYSLOG_IDENTIFIER": "sshd[1]: Invalid"}, "postfix")
    assert told is not None
    assert told.startswith(PREFIX + b"sshd_1___Invalid[77]: ")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b"{}",
        b'{"__CURSOR": 1, "__REALTIME_TIMESTAMP": "1"}',
        b'{"__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "soon"}',
        b'{"__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "999999999999999999999999"}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_record(text: bytes) -> None:
    """Anything else that journalctl may say is passed over."""
    assert parse_entry(text) is None


def test_what_is_asked_of_journalctl() -> None:
    """Each entry is an alternative, once: sshd goes by identifier and root, a unit by its name, and
    a match as it is; only the fields that are looked at are asked for.
    """
    entries = ["sshd.service", "postfix", "ssh.service", "_TRANSPORT=x", "NAME=a.b+c"]
    assert match_arguments(entries) == [
        "SYSLOG_IDENTIFIER=sshd",
        "SYSLOG_IDENTIFIER=sshd-session",
        "SYSLOG_IDENTIFIER=sshd-auth",
        "_UID=0",
        "+",
        "_SYSTEMD_UNIT=postfix.service",
        "+",
        "_TRANSPORT=x",
        "+",
        "NAME=a.b+c",
    ]
    assert sorted(output_fields(entries)) == sorted(
        ["MESSAGE", "SYSLOG_IDENTIFIER", "_HOSTNAME", "_PID", "_UID", "_EXE", "_TRANSPORT",
         "_SYSTEMD_UNIT", "NAME"]
    )  # fmt: skip

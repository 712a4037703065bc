r"""Entries of the systemd journal: their order, which are trusted, and how they read as lines.

A JournalCursor is where reading resumes. journalctl shows the entries of one sequence (its files
continue each other's numbering) in the order of their numbers, entries of one boot by the monotonic
clock, and all others by time. Cursors are compared in the same way.

Any local user can write to the journal under any identifier. The kernel certifies only the fields
that begin with an underscore. An entry of sshd is trusted if root wrote it and it came by the
transport that sshd uses. The unit proves nothing for sshd: a user's shell may run in its cgroup,
and it is missing for processes that ended at once. Entries of other units are trusted if root or a
system user wrote them (Postfix logs as its own user): commands that mail delivery runs for people
are in the unit's cgroup, too, but run as those people. Entries picked by a match (FIELD=value) have
to pass the same test, so a field without an underscore is trusted from every system user.

An entry becomes one line, whatever its message contains (a line break in it becomes `\n`):

    2026-05-01T06:43:08.123456+00:00 HOST IDENTIFIER[PID]: MESSAGE

Known limits: where another boot begins another sequence while the clock is set back, journalctl
itself does not know which entries came first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

_CURSOR = re.compile(r"[0-9a-z]+=[0-9a-z]+(;[0-9a-z]+=[0-9a-z]+)*")
_SEQUENCE = re.compile(r"s=([0-9a-f]+);i=([0-9a-f]+)(?:;|\Z)")
_BOOT = re.compile(r".*;b=([0-9a-f]+);m=([0-9a-f]+)(?:;|\Z)")
_TEXT = re.compile(r"@([0-9]{1,17}) (.*)")
_SSHD_IDENTIFIERS = ("sshd", "sshd-session", "sshd-auth")
_SSH_UNITS = ("ssh", "sshd")
_UNSAFE = re.compile(r"[^A-Za-z0-9_./@-]")
_YEAR_9999_US = 253_370_764_800_000_000
#: The fields that are read of every entry.
_FIELDS = (
    "MESSAGE",
    "SYSLOG_IDENTIFIER",
    "_HOSTNAME",
    "_PID",
    "_UID",
    "_EXE",
    "_TRANSPORT",
    "_SYSTEMD_UNIT",
)


class JournalCursor(NamedTuple):
    """The position of an entry; without a name, a mere moment in time.

    at_us: when journald received the entry (microseconds since the epoch).
    name: journalctl's cursor; "" if there is no entry yet.
    """

    at_us: int
    name: str = ""

    @property
    def text(self) -> str:
        """The cursor as it is stored."""
        return f"@{self.at_us} {self.name}"

    @classmethod
    def parse(cls, text: str) -> JournalCursor | None:
        """The cursor from its stored text, None if it is not valid."""
        match = _TEXT.fullmatch(text)
        if match is None or (match[2] and not _CURSOR.fullmatch(match[2])):
            return None
        return cls(int(match[1]), match[2])

    def is_after(self, other: JournalCursor) -> bool:
        """Whether its entry comes later in the journal than another one."""
        for numbering in (_SEQUENCE, _BOOT):
            mine, theirs = numbering.match(self.name), numbering.match(other.name)
            if mine and theirs and mine[1] == theirs[1]:
                return int(mine[2], 16) > int(theirs[2], 16)
        return self.at_us > other.at_us


class JournalEntry(NamedTuple):
    """A journal entry: its cursor, and its fields as in journalctl's JSON."""

    cursor: JournalCursor
    fields: dict[str, Any]


def selector_name(selector: str) -> str:
    """A selector in full: the unit "sshd" becomes "sshd.service"; a match stays as it is."""
    return selector if "." in selector or "=" in selector else f"{selector}.service"


def match_arguments(selectors: Iterable[str]) -> list[str]:
    """journalctl's arguments that select exactly the entries of these selectors."""
    groups = dict.fromkeys(map(_match, selectors))
    return [argument for group in groups for argument in ("+", *group)][1:]


def output_fields(selectors: Iterable[str]) -> list[str]:
    """The fields that are needed of the entries of these selectors."""
    matched = (selector.partition("=")[0] for selector in selectors if "=" in selector)
    return list(dict.fromkeys((*_FIELDS, *matched)))


def parse_entry(text: bytes) -> JournalEntry | None:
    """The entry on a line of `journalctl -o json`, None if there is none."""
    try:
        fields = json.loads(text)
        name, at_us = fields["__CURSOR"], int(fields["__REALTIME_TIMESTAMP"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(name, str) or not 0 <= at_us < _YEAR_9999_US:
        return None
    return JournalEntry(JournalCursor(at_us, name), fields)


def to_syslog_line(entry: JournalEntry) -> bytes | None:
    """The entry as a line with LF; None if its message is cut off or ambiguous."""
    fields = entry.fields
    message = _message(fields.get("MESSAGE"))
    if message is None:
        return None
    seconds, micros = divmod(entry.cursor.at_us, 1_000_000)
    moment = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06}+00:00"
    head = f"{moment} {_safe(fields.get('_HOSTNAME'))} {_safe(fields.get('SYSLOG_IDENTIFIER'))}"
    pid = fields.get("_PID")
    tag = f"[{pid}]: " if isinstance(pid, str) and pid.isascii() and pid.isdigit() else ": "
    return (head + tag).encode() + message.replace(b"\n", b"\\n") + b"\n"


def is_trusted(entry: JournalEntry, selector: str) -> bool:
    """Whether a selector picks an entry, and its writer may speak for the selected service."""
    fields = entry.fields
    uid = fields.get("_UID")
    if not _is_sshd(selector):
        system = isinstance(uid, str) and uid.isascii() and uid.isdigit() and len(uid) <= 3
        field, _, value = _match(selector)[0].partition("=")
        return system and bool(fields.get(field) == value)
    program = fields.get("_EXE", "/usr/")
    return (
        uid == "0"
        and fields.get("SYSLOG_IDENTIFIER") in _SSHD_IDENTIFIERS
        and fields.get("_TRANSPORT", "syslog") in ("syslog", "stdout")
        and isinstance(program, str)
        and program.startswith("/usr/")
    )


def unit_matches(selectors: Iterable[str]) -> list[str]:
    """Matches for everything the selected units log, where the selectors pick less (sshd)."""
    has_sshd = any(map(_is_sshd, selectors))
    return [f"_SYSTEMD_UNIT={unit}.service" for unit in _SSH_UNITS if has_sshd]


def is_from_unit(entry: JournalEntry, unit_match: str) -> bool:
    """Whether the unit of a match from `unit_matches` wrote an entry itself."""
    is_log = entry.fields.get("_TRANSPORT", "syslog") not in ("audit", "kernel")
    return is_log and is_trusted(entry, unit_match)


@lru_cache(maxsize=64)
def _is_sshd(selector: str) -> bool:
    """Debian calls it ssh; with socket activation it is sshd@..., a unit for each connection."""
    return re.split("[.@]", selector, maxsplit=1)[0] in _SSH_UNITS


@lru_cache(maxsize=64)
def _match(selector: str) -> tuple[str, ...]:
    """The matches, all of which an entry has to meet."""
    if _is_sshd(selector):
        return (*(f"SYSLOG_IDENTIFIER={name}" for name in _SSHD_IDENTIFIERS), "_UID=0")
    return (selector if "=" in selector else f"_SYSTEMD_UNIT={selector_name(selector)}",)


def _message(value: object) -> bytes | None:
    """Text, or the bytes that journalctl took for binary; None if cut off (null) or several."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, list):
        try:
            return bytes(value)
        except (TypeError, ValueError):
            return None
    return None


def _safe(value: object) -> str:
    """A host or program name in which nothing can pass for another part of the line."""
    return _UNSAFE.sub("_", value)[:64] if isinstance(value, str) and value else "-"

r"""A place in the journal's stream of records: what a mark of a journal source holds.

journalctl shows records of one series (its files take over their numbering from each other) in the
order of their numbers, those of one boot by the clock that never jumps, and all others by time; so
are places compared here.
Known limit: where another boot begins another series while the clock is set back, journalctl itself
does not know which records came first.

Which journal records are to be believed, and how they read as lines of text.

Any local user can write to the journal under any identifier. What the kernel certifies are the
fields that begin with an underscore. A record of sshd counts if root wrote it and it came the way
sshd's messages come. A unit alone is no proof for sshd: a user's shell may run in its cgroup; and
it is no condition either, because it is missing for processes that ended at once. Records of other
units count if root or a system user wrote them (Postfix logs as its own user): commands that mail
delivery runs for people are in the unit's cgroup, too, but run as those people. The same is asked
of records that a match (FIELD=value) picks, so a field without an underscore is believed of every
system user.

A record becomes one line, whatever its message holds (a line break in it becomes `\n`):

    2026-05-01T06:43:08.123456+00:00 HOST IDENTIFIER[PID]: MESSAGE
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

_CURSOR = re.compile(r"[0-9a-z]+=[0-9a-z]+(;[0-9a-z]+=[0-9a-z]+)*")
_SERIES = re.compile(r"s=([0-9a-f]+);i=([0-9a-f]+)(?:;|\Z)")
_BOOT = re.compile(r".*;b=([0-9a-f]+);m=([0-9a-f]+)(?:;|\Z)")
_TEXT = re.compile(r"@([0-9]{1,17}) (.*)")


class JournalCursor(NamedTuple):
    """Where a record is; or, without a cursor, a mere moment in time.

    at_us: when journald got it, in microseconds since the epoch. cursor: journalctl's name of it.
    """

    at_us: int
    name: str = ""

    @property
    def text(self) -> str:
        """The place as a mark."""
        return f"@{self.at_us} {self.name}"

    @classmethod
    def parse(cls, text: str) -> JournalCursor | None:
        """The place from a mark, None if it is none."""
        found = _TEXT.fullmatch(text)
        if found is None or (found[2] and not _CURSOR.fullmatch(found[2])):
            return None
        return cls(int(found[1]), found[2])

    def is_after(self, other: JournalCursor) -> bool:
        """Whether it comes later in the stream than another place."""
        for numbering in (_SERIES, _BOOT):
            mine, its = numbering.match(self.name), numbering.match(other.name)
            if mine and its and mine[1] == its[1]:
                return int(mine[2], 16) > int(its[2], 16)
        return self.at_us > other.at_us


_SSHD = ("sshd", "sshd-session", "sshd-auth")
_SSH = ("ssh", "sshd")
_UNSAFE = re.compile(r"[^A-Za-z0-9_./@-]")
_YEAR_9999_US = 253_370_764_800_000_000
#: What is looked at, besides the fields of matches.
_FIELDS = ("MESSAGE", "SYSLOG_IDENTIFIER", "_HOSTNAME", "_PID", "_UID", "_EXE", "_TRANSPORT",
           "_SYSTEMD_UNIT")  # fmt: skip


class JournalEntry(NamedTuple):
    """A journal record: its place, and its fields as journalctl's JSON has them."""

    cursor: JournalCursor
    fields: dict[str, Any]


def selector_name(entry: str) -> str:
    """An entry of a source in full: the unit "sshd" is "sshd.service"; a match is as it is."""
    return entry if "." in entry or "=" in entry else f"{entry}.service"


def match_arguments(entries: Iterable[str]) -> list[str]:
    """The arguments with which journalctl picks the records of these entries, and no others."""
    groups = dict.fromkeys(map(_match, entries))
    return [argument for group in groups for argument in ("+", *group)][1:]


def output_fields(entries: Iterable[str]) -> list[str]:
    """The fields of a record that matter for these entries."""
    named = (entry.partition("=")[0] for entry in entries if "=" in entry)
    return list(dict.fromkeys((*_FIELDS, *named)))


def parse_entry(text: bytes) -> JournalEntry | None:
    """A record from a line of `journalctl -o json`, None if it is none."""
    try:
        found = json.loads(text)
        cursor, at = found["__CURSOR"], int(found["__REALTIME_TIMESTAMP"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(cursor, str) or not 0 <= at < _YEAR_9999_US:
        return None
    return JournalEntry(JournalCursor(at, cursor), found)


def to_syslog_line(record: JournalEntry) -> bytes | None:
    """The record as a line with LF; None if its message is not certain."""
    found = record.fields
    message = _message(found.get("MESSAGE"))
    if message is None:
        return None
    seconds, micros = divmod(record.cursor.at_us, 1_000_000)
    moment = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06}+00:00"
    head = f"{moment} {_safe(found.get('_HOSTNAME'))} {_safe(found.get('SYSLOG_IDENTIFIER'))}"
    pid = found.get("_PID")
    tag = f"[{pid}]: " if isinstance(pid, str) and pid.isascii() and pid.isdigit() else ": "
    return (head + tag).encode() + message.replace(b"\n", b"\\n") + b"\n"


def is_trusted(record: JournalEntry, entry: str) -> bool:
    """Whether a record belongs to an entry, and was written by somebody who may say such things."""
    found = record.fields
    uid = found.get("_UID")
    if not _is_sshd(entry):
        system = isinstance(uid, str) and uid.isascii() and uid.isdigit() and len(uid) <= 3
        field, _, value = _match(entry)[0].partition("=")
        return system and bool(found.get(field) == value)
    program = found.get("_EXE", "/usr/")
    return (
        uid == "0"
        and found.get("SYSLOG_IDENTIFIER") in _SSHD
        and found.get("_TRANSPORT", "syslog") in ("syslog", "stdout")
        and isinstance(program, str)
        and program.startswith("/usr/")
    )


def unit_matches(entries: Iterable[str]) -> list[str]:
    """Matches for all that the units of these entries write, where the entries pick less."""
    return [f"_SYSTEMD_UNIT={unit}.service" for unit in _SSH if any(map(_is_sshd, entries))]


def is_from_unit(record: JournalEntry, unit: str) -> bool:
    """Whether a record comes from a unit (as `units` has it), and what the unit said itself."""
    said = record.fields.get("_TRANSPORT", "syslog") not in ("audit", "kernel")
    return said and is_trusted(record, unit)


@lru_cache(maxsize=64)
def _is_sshd(entry: str) -> bool:
    """Debian calls it ssh; with socket activation it is sshd@..., a unit for each connection."""
    return re.split("[.@]", entry, maxsplit=1)[0] in _SSH


@lru_cache(maxsize=64)
def _match(entry: str) -> tuple[str, ...]:
    if _is_sshd(entry):
        return (*(f"SYSLOG_IDENTIFIER={identifier}" for identifier in _SSHD), "_UID=0")
    return (entry if "=" in entry else f"_SYSTEMD_UNIT={selector_name(entry)}",)


def _message(value: object) -> bytes | None:
    """Text, or bytes if journalctl took it for binary; null (cut off) or several are refused."""
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

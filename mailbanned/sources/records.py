r"""Which journal records are to be believed, and how they read as lines of text.

Any local user can write to the journal under any identifier. What the kernel certifies are the
fields that begin with an underscore. A record of sshd counts if root wrote it and it came the way
sshd's messages come. A unit alone is no proof for sshd: a user's shell may run in its cgroup; and
it is no condition either, because it is missing for processes that ended at once. Records of other
units count if root or a system user wrote them (Postfix logs as its own user): commands that mail
delivery runs for people are in the unit's cgroup, too, but run as those people.

A record becomes one line, whatever its message holds (a line break in it becomes `\n`):

    2026-05-01T06:43:08.123456+00:00 HOST IDENTIFIER[PID]: MESSAGE
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_SSHD = ("sshd", "sshd-session", "sshd-auth")
_UNSAFE = re.compile(r"[^A-Za-z0-9_./@-]")


@dataclass(frozen=True, slots=True)
class Record:
    """A journal record. cursor: its place; at: when journald got it (epoch); line: its text with
    LF, None if it is not to be believed.
    """

    cursor: str
    at: float
    line: bytes | None


def unit_name(unit: str) -> str:
    """A unit's full name: "sshd" is "sshd.service"."""
    return unit if "." in unit else f"{unit}.service"


def matches(units: Sequence[str]) -> list[str]:
    """The arguments with which journalctl picks the records of these units."""
    arguments: list[str] = []
    for unit in units:
        if _is_sshd(unit):
            identifiers = [f"SYSLOG_IDENTIFIER={identifier}" for identifier in _SSHD]
            arguments += ["+", *identifiers, "_UID=0"]
        else:
            arguments += ["+", f"_SYSTEMD_UNIT={unit_name(unit)}"]
    return arguments[1:]


def parse(text: bytes, units: Sequence[str]) -> Record | None:
    """A record from a line of `journalctl -o json`, None if it is none."""
    try:
        fields = json.loads(text)
        cursor, at = fields["__CURSOR"], int(fields["__REALTIME_TIMESTAMP"])
        moment = datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="microseconds")
    except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        return None
    if not isinstance(cursor, str):
        return None
    message = _message(fields.get("MESSAGE"))
    if message is None or not any(_is_believed(fields, unit) for unit in units):
        return Record(cursor, at / 1e6, None)
    head = f"{moment} {_safe(fields.get('_HOSTNAME'))} {_safe(fields.get('SYSLOG_IDENTIFIER'))}"
    pid = fields.get("_PID")
    tag = f"[{pid}]: " if isinstance(pid, str) and pid.isascii() and pid.isdigit() else ": "
    body = message.replace(b"\n", b"\\n")
    return Record(cursor, at / 1e6, (head + tag).encode() + body + b"\n")


def _is_sshd(unit: str) -> bool:
    """Debian calls it ssh; with socket activation it is sshd@..., a unit for each connection."""
    return re.split("[.@]", unit, maxsplit=1)[0] in ("ssh", "sshd")


def _is_believed(fields: dict[str, Any], unit: str) -> bool:
    uid = fields.get("_UID")
    if not _is_sshd(unit):
        system = isinstance(uid, str) and uid.isascii() and uid.isdigit() and len(uid) <= 3
        return system and bool(fields.get("_SYSTEMD_UNIT") == unit_name(unit))
    program = fields.get("_EXE", "/usr/")
    return (
        uid == "0"
        and fields.get("SYSLOG_IDENTIFIER") in _SSHD
        and fields.get("_TRANSPORT", "syslog") in ("syslog", "stdout")
        and isinstance(program, str)
        and program.startswith("/usr/")
    )


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

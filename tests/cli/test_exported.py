"""`mailbanned test` on what `journalctl -o json` wrote: as the daemon would read the journal."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.support import A, B, Hall

MICROS = 1_777_617_788_000_000  # 2026-05-01T06:43:08Z


def record(message: object, **fields: Any) -> str:
    """A record of the door, written by a system user."""
    return json.dumps(
        {
            "__REALTIME_TIMESTAMP": str(MICROS), "_UID": "99", "_HOSTNAME": "mx",
            "SYSLOG_IDENTIFIER": "door", "_PID": "7", "MESSAGE": message, "__CURSOR": "s=1;i=2",
        }
        | fields
    )  # fmt: skip


def test_records_are_read_as_lines(hall: Hall) -> None:
    """With their time, their line numbers, and bytes that are no text."""
    raw = list(f"no entry for b\xf6b from {B}".encode("latin1"))
    log = hall.log(record("welcome"), record(f"no entry for bob from {A}"), record(raw))
    one, two = hall.lines("--jail", "strict", "--matches", log)
    assert (one["line"], one["address"], one["user"]) == (2, A, "bob")
    assert one["at"].startswith("2026-05-01T06:43:08")
    assert (two["line"], two["address"], two["user"]) == (3, B, "b\ufffdb")


def test_what_anybody_can_write_is_not_believed(hall: Hall) -> None:
    """A local user's record, one without a writer, and sshd's that did not come from root."""
    message = f"no entry for bob from {A}"
    log = hall.log(
        record(message, _UID="1000"),
        record(message, _UID=None),
        record(message, SYSLOG_IDENTIFIER="sshd", _EXE="/home/bob/sshd"),
        record(message, SYSLOG_IDENTIFIER=["door", "door"]),
        record(f"a visitor\nmx door[1]: {message}"),
    )
    assert hall.document(log)["matched"] == 0
    assert hall.document(log)["lines"] == 5


def test_a_record_is_explained(hall: Hall) -> None:
    """--explain takes a record for the line that it becomes."""
    text = hall.text("--explain", record(f"no entry for bob from {A}"))
    assert A in text
    assert "refused" in text


def test_other_json_is_no_journal(hall: Hall) -> None:
    """Docker's lines and broken records stay as they are."""
    line = {"log": f"door[1]: no entry for bob from {A}\n", "stream": "stdout"}
    docker = json.dumps(line | {"time": "2026-05-01T06:43:08.1Z"}, separators=(",", ":"))
    assert hall.document(hall.log(docker))["matched"] == 1
    assert hall.document(hall.log('{"__CURSOR": 5}', '{"__CURSOR"', docker))["matched"] == 1

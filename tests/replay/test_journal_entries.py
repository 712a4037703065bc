"""`mailbanned test` on what `journalctl -o json` wrote: as the daemon would read the journal."""

from __future__ import annotations

import json
from typing import Any

from tests.demo_host import A, B, DemoHost

MICROS = 1_777_617_788_000_000  # 2026-05-01T06:43:08Z


def record(message: object, **fields: Any) -> str:
    """An entry of `app`, written by a system user."""
    return json.dumps(
        {
            "__REALTIME_TIMESTAMP": str(MICROS), "_UID": "99", "_HOSTNAME": "mx",
            "SYSLOG_IDENTIFIER": "app", "_PID": "7", "MESSAGE": message, "__CURSOR": "s=1;i=2",
        }
        | fields
    )  # fmt: skip


def test_records_are_read_as_lines(host: DemoHost) -> None:
    """With their time, their line numbers, and bytes that are no text."""
    raw = list(f"login failed for b\xf6b from {B}".encode("latin1"))
    log = host.log(record("login-ok"), record(f"login failed for bob from {A}"), record(raw))
    one, two = host.lines("--jail", "strict", "--matches", log)
    assert (one["line"], one["address"], one["user"]) == (2, A, "bob")
    assert one["at"].startswith("2026-05-01T06:43:08")
    assert (two["line"], two["address"], two["user"]) == (3, B, "b\ufffdb")


def test_what_anybody_can_write_is_not_believed(host: DemoHost) -> None:
    """A local user's record, one without a writer, and sshd's that did not come from root."""
    message = f"login failed for bob from {A}"
    log = host.log(
        record(message, _UID="1000"),
        record(message, _UID=None),
        record(message, SYSLOG_IDENTIFIER="sshd", _EXE="/home/bob/sshd"),
        record(message, SYSLOG_IDENTIFIER=["app", "app"]),
        record(f"a visitor\nmx app[1]: {message}"),
    )
    assert host.document(log)["matched"] == 0
    assert host.document(log)["lines"] == 5


def test_a_record_is_explained(host: DemoHost) -> None:
    """--explain takes a record for the line that it becomes."""
    text = host.text("--explain", record(f"login failed for bob from {A}"))
    assert A in text
    assert "login-failed" in text


def test_other_json_is_no_journal(host: DemoHost) -> None:
    """Docker's lines and broken records stay as they are."""
    line = {"log": f"app[1]: login failed for bob from {A}\n", "stream": "stdout"}
    docker = json.dumps(line | {"time": "2026-05-01T06:43:08.1Z"}, separators=(",", ":"))
    assert host.document(host.log(docker))["matched"] == 1
    assert host.document(host.log('{"__CURSOR": 5}', '{"__CURSOR"', docker))["matched"] == 1

"""`mailbanned test` on what `journalctl -o json` wrote: as the daemon would read the journal."""

from __future__ import annotations

import json
from typing import Any

from tests.demo_host import A, B, DemoHost

MICROS = 1_777_617_788_000_000  # 2026-05-01T06:43:08Z


def entry(message: object, **fields: Any) -> str:
    """An entry of `app`, written by a system user."""
    return json.dumps(
        {
            "__REALTIME_TIMESTAMP": str(MICROS), "_UID": "99", "_HOSTNAME": "mx",
            "SYSLOG_IDENTIFIER": "app", "_PID": "7", "MESSAGE": message, "__CURSOR": "s=1;i=2",
        }
        | fields
    )  # fmt: skip


def test_entries_are_read_as_lines(host: DemoHost) -> None:
    """With their time, their line numbers, and bytes that are no text."""
    raw = list(f"login failed for b\xf6b from {B}".encode("latin1"))
    log = host.log(entry("login-ok"), entry(f"login failed for bob from {A}"), entry(raw))
    first, second = host.lines("--jail", "strict", "--matches", log)
    assert (first["line"], first["address"], first["user"]) == (2, A, "bob")
    assert first["at"].startswith("2026-05-01T06:43:08")
    assert (second["line"], second["address"], second["user"]) == (3, B, "b\ufffdb")


def test_entries_that_any_user_can_write_are_not_trusted(host: DemoHost) -> None:
    """Entries of a local user, without a writer, and of an sshd that is not root's."""
    message = f"login failed for bob from {A}"
    log = host.log(
        entry(message, _UID="1000"),
        entry(message, _UID=None),
        entry(message, SYSLOG_IDENTIFIER="sshd", _EXE="/home/bob/sshd"),
        entry(message, SYSLOG_IDENTIFIER=["app", "app"]),
        entry(f"a visitor\nmx app[1]: {message}"),
    )
    assert host.document(log)["matched"] == 0
    assert host.document(log)["lines"] == 5


def test_an_entry_is_explained(host: DemoHost) -> None:
    """--explain takes an entry for the line that it becomes."""
    text = host.text("--explain", entry(f"login failed for bob from {A}"))
    assert A in text
    assert "login-failed" in text


def test_other_json_is_no_journal(host: DemoHost) -> None:
    """Docker's lines and broken entries stay as they are."""
    line = {"log": f"app[1]: login failed for bob from {A}\n", "stream": "stdout"}
    docker = json.dumps(line | {"time": "2026-05-01T06:43:08.1Z"}, separators=(",", ":"))
    assert host.document(host.log(docker))["matched"] == 1
    assert host.document(host.log('{"__CURSOR": 5}', '{"__CURSOR"', docker))["matched"] == 1

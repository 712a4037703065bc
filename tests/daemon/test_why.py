"""`mailbanned why`: what is behind a ban, from the lines that were read to the bans before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.running import Running, sasl, ssh

A, B = "203.0.113.5", "203.0.113.6"


def why(daemon: Running, address: str) -> dict[str, Any]:
    """The document."""
    result = daemon.cli("why", address, "--json")
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_stranger(daemon: Running) -> None:
    """Of somebody who was never heard of it says just that; what is no address is refused."""
    assert daemon.cli("why", A).stdout == f"{A} is not banned.\nNo earlier bans are known.\n"
    assert daemon.cli("why", "127.0.0.1").stdout.splitlines()[1] == (
        "It is on the ignore list (127.0.0.0/8), and is never banned."
    )
    result = daemon.cli("why", "nobody")
    assert result.returncode == 1
    assert result.stderr == "mailbanned: 'nobody' is no address or network\n"


def test_failures_that_have_not_led_to_a_ban(daemon: Running) -> None:
    """It tells how many count, which names were tried, and the lines."""
    daemon.append("postfix.log", sasl(A, "info"), sasl(B, "other"), sasl(A, "sales"))
    daemon.settled()
    found = why(daemon, A)
    assert found["bans"] == []
    counting = {one["jail"]: (one["failures"], one["maxretry"]) for one in found["counting"]}
    assert counting["postfix-sasl"] == (2, 3)
    assert found["users"] == ["info", "sales"]
    assert [line["rule"] for line in found["lines"]] == 2 * ["postfix-sasl/failed"]
    assert all(f"[{A}]" in line["text"] for line in found["lines"])
    text = daemon.cli("why", A).stdout
    assert "[postfix-sasl] counts 2 of 3 failures, the last at 20" in text
    assert "Tried: info, sales\n" in text


def test_a_ban_and_those_before_it(daemon: Running) -> None:
    """Jail, pattern, user, since when it is in force; then the bans that have ended, and how."""
    daemon.append("secure", ssh(A, "root\x1b[2J"))
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    daemon.wait(lambda: why(daemon, A)["bans"][0]["in_force_since"] is not None, "it is in force")
    (ban,) = why(daemon, A)["bans"]
    assert (ban["jail"], ban["failures"], ban["reason"]) == (
        "sshd-unknown",
        1,
        "sshd-unknown/invalid-user",
    )
    assert ban["since"] <= ban["in_force_since"]
    assert why(daemon, A)["before"] == {"bans": 0, "last": []}
    text = daemon.cli("why", A).stdout
    assert text.startswith(f"{A} is banned.\n[sshd-unknown] since 20")
    assert "\x1b" not in text
    assert daemon.cli("unban", A).returncode == 0
    assert daemon.cli("ban", "203.0.113.0/24", "--reason", "a bad network").returncode == 0
    found = why(daemon, A)
    assert [(one["subject"], one["reason"]) for one in found["bans"]] == [
        ("203.0.113.0/24", "a bad network")
    ]
    assert found["before"]["bans"] == 1
    assert found["before"]["last"][0]["how"] == "by hand"
    text = daemon.cli("why", A).stdout
    assert " for ever as 203.0.113.0/24" in text or " as 203.0.113.0/24\n  by hand" in text
    assert "Earlier bans: 1; the last of them:\n  [sshd-unknown] 20" in text


def test_after_a_restart(folder: Path) -> None:
    """Bans and their past are known as before; lines are those since the start."""
    with Running(folder) as daemon:
        daemon.append("secure", ssh("2001:db8::5", "x"))
        daemon.wait_banned("sshd-unknown", "2001:db8::/64")
        assert len(why(daemon, "2001:db8::5")["lines"]) == 1
    with Running(folder) as daemon:
        found = why(daemon, "2001:db8::7")
        assert [one["subject"] for one in found["bans"]] == ["2001:db8::/64"]
        assert found["before"]["bans"] == 0
        assert found["lines"] == []


def test_memory_of_lines_is_bounded(daemon: Running) -> None:
    """Of each address the newest eight lines are kept."""
    daemon.append("secure", *(ssh(A, f"user{number}") for number in range(20)))
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    daemon.settled()
    assert why(daemon, A)["users"] == [f"user{number}" for number in range(12, 20)]

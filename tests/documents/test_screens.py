"""The status and the result of `mailbanned test` as docs/operations.md shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from mailbanned.cli.render_test import render
from tests.cli.test_status import NOW, breaker, shown, source, status
from tests.documents.pages import block, is_shown


def _ago(**given: float) -> str:
    return (NOW - timedelta(**given)).isoformat()


def _ban(
    address: str,
    ago_s: float,
    hours: float,
    failures: int,
    user: str | None = None,
    reason: str = "",
) -> dict[str, Any]:
    until = _ago(seconds=ago_s - hours * 3600)
    return {
        "address": address,
        "since": _ago(seconds=ago_s),
        "until": until,
        "failures": failures,
        "user": user,
        "reason": reason,
    }


def _jail(name: str, total: int, now: int, *bans: dict[str, Any], **more: Any) -> dict[str, Any]:
    rules = {
        "enabled": True,
        "source": "postfix",
        "maxretry": 3,
        "findtime_s": 3600.0,
        "bantime_s": 86400.0,
    }
    banned = {"banned_now": len(bans), "banned_total": len(bans)}
    return {
        **rules,
        "name": name,
        "failures_total": total,
        "failures_now": now,
        **banned,
        "bans": list(bans),
        **more,
    }


def test_the_status() -> None:
    """The status on a terminal, as docs/operations.md shows it."""
    document = status(
        source("postfix", lines=61022, last_line_at=_ago(seconds=8), paths=["/var/log/maillog"]),
        source(
            "dovecot",
            lines=4710,
            last_line_at=_ago(seconds=127),
            paths=["/var/log/dovecot.log"],
            stamps={"skew_s": 7200.0},
        ),
        source("sshd", lines=310, last_line_at=_ago(hours=3.02), paths=["sshd.service"]),
        uptime_s=3 * 86400 + 4 * 3600 + 5,
        firewall={**status()["firewall"], "bans_in_force": 3},
        accounts={"backend": "mysql", "state": "up", "lookups": 2, "failures": 0, "last_error": ""},
        breaker=breaker(openings_total=1, suspended_total=14),
        reaction_ms={"count": 2, "p50": 6.9, "p99": 6.9, "max": 6.9},
        jails=[
            _jail("postfix-sasl", 4, 1, _ban("198.51.100.7/32", 8, 24, 3, "info@example.org")),
            _jail(
                "postfix-sasl-unknown",
                1,
                0,
                _ban("203.0.113.5/32", 8, 168, 1, "nobody@example.org"),
                maxretry=1,
                bantime_s=7 * 86400.0,
            ),
            _jail("dovecot", 2, 1),
            _jail("sshd", 0, 0),
            _jail(
                "manual",
                0,
                0,
                _ban("2001:db8::/64", 3, 2, 0, reason="spam run"),
                enabled=False,
                source=None,
            ),
        ],
    )
    assert is_shown(block("docs/operations.md", "mailbanned  up 3d4h"), shown(document))


def _tally(
    name: str,
    matched: int = 0,
    prevented: int = 0,
    *bans: dict[str, Any],
    addresses: dict[str, int] | None = None,
    users: dict[str, int] | None = None,
    **more: Any,
) -> dict[str, Any]:
    found = {"addresses": addresses or {}, "users": users or {}}
    return {
        "name": name,
        "maxretry": 3,
        "findtime_s": 3600.0,
        "bantime_s": 86400.0,
        "accounts": "any",
        "matched": matched,
        "ignored": 0,
        "suspended": 0,
        "prevented": prevented,
        "bans": list(bans),
        **more,
        **{key: {"distinct": len(most), "most": most} for key, most in found.items()},
    }


def _would_ban(address: str, clock: str, line: int, prevented: int, user: str) -> dict[str, Any]:
    return {
        "address": f"{address}/32",
        "at": f"2026-05-01T{clock}+00:00",
        "line": line,
        "until": f"2026-05-02T{clock}+00:00",
        "prevented": prevented,
        "user": user,
        "lifted": None,
        "log": "/var/log/maillog",
        "failures": 3,
    }


def test_what_a_filter_would_do() -> None:
    """The result of `mailbanned test`, as docs/operations.md shows it."""
    found = {
        "logs": ["/var/log/maillog"],
        "lines": 6540,
        "matched": 434,
        "unmatched": 1,
        "seconds": 6540 / 29508,
        "known_users": 50,
        "outages": [
            {
                "since": "2026-05-01T19:26:35+00:00",
                "until": "2026-05-01T19:27:40+00:00",
                "reason": "dovecot/error-2-3",
            }
        ],
        "jails": [
            _tally("postfix"),
            _tally(
                "postfix-sasl",
                425,
                415,
                _would_ban("203.0.113.5", "06:44:22", 1717, 409, "info@example.org"),
                _would_ban("198.51.100.7", "08:50:00", 2455, 6, "test"),
                addresses={"203.0.113.5": 412, "198.51.100.7": 9, "192.0.2.99": 4},
                users={"info@example.org": 419, "oracle": 3, "test": 3},
                suspended=4,
            ),
            _tally(
                "postfix-sasl-unknown",
                6,
                7,
                _would_ban("198.51.100.7", "08:49:00", 2450, 7, ""),
                addresses={"198.51.100.7": 6},
                users={"oracle": 3, "test": 3},
            ),
            _tally("sshd"),
        ],
    }
    example = block("docs/operations.md", "# mysql -N")
    assert is_shown(example.partition("maillog\n")[2], click.unstyle(render(found)))

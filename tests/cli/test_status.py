"""What `mailbanned status` shows of its document: on a terminal, and in a pipe."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from mailbanned.cli.render_status import problems, render
from mailbanned.cli.status import render_plain

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
SINCE = "2026-05-01T11:58:30.250000+00:00"


def source(name: str = "postfix", **more: Any) -> dict[str, Any]:
    """A healthy source."""
    return {
        "name": name, "kind": "file", "paths": [f"/var/log/{name}"], "state": "following",
        "detail": "", "lines": 12345, "last_line_at": SINCE, "lag_bytes": 0,
        "unmatched": {"count": 0, "last_at": None, "line": ""},
        "stamps": {"future": 0, "past": 0, "skew_s": 0.4}, "overlong": 0,
        "patterns": [{"rule": "postfix-sasl/failed", "hits": 7, "last_at": SINCE}], **more,
    }  # fmt: skip


def status(*sources: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The document of a healthy daemon."""
    return {
        "version": 1, "pid": 812, "uptime_s": 90.0,
        "config": {"path": "/etc/mailbanned/mailbanned.toml", "loaded_at": SINCE, "hints": [],
                   "last_reload": {"ok": True, "at": SINCE, "errors": []}},
        "firewall": {"backend": "firewalld", "state": "up", "zone": "public", "detail": "",
                     "bans_in_force": 0, "pending": 0, "sessions": "on"},
        "accounts": {"backend": "none", "state": "none", "lookups": 0, "failures": 0,
                     "last_error": ""},
        "sources": list(sources) or [source()],
        "jails": [{"name": "sshd", "enabled": True, "source": "sshd", "failures_now": 0,
                   "failures_total": 0, "banned_now": 0, "banned_total": 0, "maxretry": 3,
                   "findtime_s": 3600.0, "bantime_s": 86400.0, "bans": []}],
        "breaker": breaker(),
        "reaction_ms": {"count": 0, "p50": None, "p99": None, "max": None},
        "store": {"path": "/var/lib/mailbanned/state.db", "error": ""}, **more,
    }  # fmt: skip


def breaker(**more: Any) -> dict[str, Any]:
    """A breaker that is closed."""
    return {"enabled": True, "open": False, "since": None, "until": None, "reason": "",
            "openings_total": 0, "suspended_total": 0, "known_clients": 0, **more}  # fmt: skip


OPEN = breaker(open=True, since=SINCE, reason="dovecot/no-answer", openings_total=1)


def shown(document: dict[str, Any], width: int = 100) -> str:
    """What a terminal shows."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(render(document, NOW, 15))
    return out.getvalue()


def test_sources_that_are_behind_say_how_far() -> None:
    """A lag of minutes is shown; one below five seconds is not."""
    text = shown(status(source("dovecot", state="catching-up", lag_s=480.2), source(lag_s=0.3)))
    assert "catching-up, 8m behind" in text
    assert text.count("behind") == 1


def test_a_healthy_daemon_has_no_problems() -> None:
    """There is no problem, and no outage or pattern is shown."""
    text = shown(status())
    assert list(problems(status())) == []
    assert "✗" not in text
    assert "outages" not in text
    assert "postfix-sasl/failed" not in text


def test_sources_are_a_table() -> None:
    """Name, state, lines, how long ago the last one came, log; also where nothing came yet."""
    sources = [source("postfix"), source("a-longer-name", state="waiting", lines=0,
               last_line_at=None, paths=[], detail="no log file")]  # fmt: skip
    lines = [line.rstrip() for line in shown(status(*sources)).splitlines()]
    start = lines.index("source         state       lines       last  log")
    assert lines[start + 1 : start + 3] == [
        "postfix        following  12,345  1m30s ago  /var/log/postfix",
        "a-longer-name  waiting         0          -  -",
    ]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (status(breaker=OPEN), "the login backend seems to be down since 2026-05-01T11:58:30 "
         "(dovecot/no-answer): failed logins do not count"),
        (status(source(stamps={"future": 0, "past": 0, "skew_s": 7200.0})),
         "source postfix has time stamps 2h behind the clock: is its timezone right?"),
        (status(source(stamps={"future": 9, "past": 0, "skew_s": -3600.0})),
         "source postfix has time stamps 1h ahead of the clock: is its timezone right?"),
        (status(source(unmatched={"count": 1, "last_at": SINCE, "line": "smtpd: SASL no"})),
         "a line of source postfix looks like a failure, but fits no pattern "
         "(mailbanned test --unmatched); the last one: smtpd: SASL no"),
        (status(source(unmatched={"count": 1234, "last_at": SINCE, "line": "x" * 500})),
         "1,234 lines of source postfix look like failures, but fit no pattern "
         f"(mailbanned test --unmatched); the last one: {'x' * 139}…"),
        (status(source(state="unreadable", detail="/var/log/postfix cannot be read")),
         "source postfix is unreadable: /var/log/postfix cannot be read"),
        (status(jails=[{**status()["jails"][0], "forgotten_total": 4321}]),
         "jail sshd: table full; it forgot the failures of 4,321 addresses"),
        (status(firewall={**status()["firewall"],
                          "ineffective": {"count": 2, "last": "192.0.2.1"}}),
         "2 failures came from addresses long after their ban; the last from 192.0.2.1"),
        (status(source(state="following", detail="the journal has newer entries")),
         "source postfix: the journal has newer entries"),
    ],
)  # fmt: skip
def test_a_problem_is_one_sentence(document: dict[str, Any], sentence: str) -> None:
    """It is shown on the terminal, before the tables."""
    assert list(problems(document)) == [sentence]
    text = " ".join(shown(document, width=200).split())
    assert f"✗ {sentence[:60]}" in text
    assert text.index("✗") < text.index("source state")


def test_serious_problems_come_first() -> None:
    """A firewall that is down, then an outage, then odd lines."""
    document = status(
        source(unmatched={"count": 1, "last_at": SINCE, "line": "x"}), breaker=OPEN,
        firewall={**status()["firewall"], "state": "down", "detail": "no firewalld", "pending": 2},
    )  # fmt: skip
    starts = [sentence.split()[0] for sentence in problems(document)]
    assert starts == ["firewall", "2", "the", "a"]


def test_past_outages_are_shown() -> None:
    """How many there were, and how much did not count for them."""
    text = shown(status(breaker=breaker(openings_total=2, suspended_total=14)))
    assert "outages     2 of the login backend seen, 14 failures in them not counted" in text


def test_text_from_outside_is_escaped() -> None:
    """Paths, errors and lines come from outside: no control character of theirs is printed."""
    evil = "x\x1b[2J\x9b"
    document = status(source("sshd", paths=[evil], state="down", detail=evil),
                      breaker={**OPEN, "reason": evil})  # fmt: skip
    for text in (shown(document), render_plain(document)):
        assert text.replace("\n", "").replace("\t", "").isprintable()
        assert "x\\x1b[2J\\x9b" in text


@pytest.mark.parametrize(
    ("document", "lines"),
    [
        (status(), ["|- Unmatched:\t0",
                    "|- Breaker:\tclosed, 0 outages seen, 0 failures not counted"]),
        (status(source(), source("sshd", unmatched={"count": 3, "last_at": SINCE, "line": "x"})),
         ["|- Unmatched:\tsshd 3"]),
        (status(breaker=OPEN), [f"|- Breaker:\topen since {SINCE} (dovecot/no-answer): "
                                "failed logins do not count"]),
        (status(breaker=breaker(enabled=False)), ["|- Breaker:\toff"]),
        (status(source(lines=0, last_line_at=None, paths=[], state="waiting")),
         ["|- Source postfix:\twaiting, 0 lines, last -, -"]),
    ],
)  # fmt: skip
def test_plain_status_is_one_line_a_thing(document: dict[str, Any], lines: list[str]) -> None:
    """For scripts: the breaker, and the unmatched lines of those sources that have any."""
    found = render_plain(document).splitlines()
    assert all(line in found for line in lines)
    assert all(line.startswith(("|- ", "`- ")) for line in found[1:])

"""`mailbanned test`: old logs through the jails, without daemon, database or root."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import cli

A, B = "203.0.113.5", "203.0.113.6"
SASL = (
    "2026-05-01T06:43:0{second}+00:00 mx postfix/smtpd[1]: warning: unknown[{address}]: SASL LOGIN "
    "authentication failed: (reason unavailable), sasl_username={user}"
)
QUIET = "2026-05-01T06:43:00+00:00 mx postfix/qmgr[912]: 4XyZ1: removed"


def sasl(second: int, address: str, user: str) -> str:
    return SASL.format(second=second, address=address, user=user)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Seven lines: three failures of one address, one of another, and traffic."""
    path = tmp_path / "postfix.log"
    lines = [
        QUIET, sasl(1, A, "info@example.org"), QUIET, sasl(2, A, "info@example.org"),
        sasl(3, B, "oracle"), QUIET, sasl(4, A, "sales@example.org"),
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return path


def matches(*arguments: object) -> list[dict[str, Any]]:
    result = cli("test", "--matches", *map(str, arguments))
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def document(*arguments: object) -> dict[str, Any]:
    result = cli("test", "--json", *map(str, arguments))
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_matches_are_one_json_object_a_line(log: Path) -> None:
    """Each has line, jail, address, user and at; lines count from 1."""
    found = matches("--jail", "postfix-sasl", log)
    assert [match["line"] for match in found] == [2, 4, 5, 7]
    first = found[0]
    assert first["jail"] == "postfix-sasl"
    assert (first["address"], first["user"]) == (A, "info@example.org")
    assert first["at"].startswith("2026-05-01T")


def test_without_known_users_every_named_user_is_unknown(log: Path) -> None:
    """The strict jail matches all lines that name a user; with a file, those not in it."""
    assert len(matches("--jail", "postfix-sasl-unknown", log)) == 4
    users = log.with_name("users")
    users.write_text("INFO@example.org \nsales@example.org\n")
    found = matches("--jail", "postfix-sasl-unknown", "--known-users", users, log)
    assert [(match["line"], match["user"]) for match in found] == [(5, "oracle")]


def test_it_says_who_would_have_been_banned_when(log: Path) -> None:
    """The ban comes with the third failure, at its stamp, for the jail's bantime."""
    users = log.with_name("users")
    users.write_text("info@example.org\nsales@example.org\n")
    found = document(
        "--jail", "postfix-sasl", "--jail", "postfix-sasl-unknown", "--known-users", users, log
    )
    assert (found["version"], found["lines"]) == (1, 7)
    assert found["seconds"] > 0
    lenient, strict = found["jails"]
    assert (lenient["name"], lenient["matched"]) == ("postfix-sasl", 4)
    (ban,) = lenient["bans"]
    assert (ban["address"], ban["line"], ban["failures"]) == (f"{A}/32", 7, 3)
    assert ban["at"].endswith(("06:43:04+00:00", ":43:04" + ban["at"][19:]))
    assert [ban["address"] for ban in strict["bans"]] == [f"{B}/32"]


def test_all_jails_are_used_if_none_is_named(log: Path) -> None:
    """Eight jails, each with its count."""
    assert len(document(log)["jails"]) == 8


@pytest.mark.parametrize("form", ["stdin", "gzip", "crlf", "no final newline", "two logs"])
def test_logs_come_in_many_forms(log: Path, form: str) -> None:
    """Standard input, gzip, CRLF and a last line without its end give the same failures."""
    data = log.read_bytes()
    if form == "stdin":
        result = cli("test", "--json", "--jail", "postfix-sasl", "-", stdin=data)
        found = json.loads(result.stdout)
    elif form == "two logs":
        half = log.with_name("half")
        half.write_bytes(b"\n".join(data.split(b"\n")[:3]))
        rest = log.with_name("rest")
        rest.write_bytes(b"\n".join(data.split(b"\n")[3:]))
        found = document("--jail", "postfix-sasl", half, rest)
    else:
        changed = {
            "gzip": gzip.compress(data),
            "crlf": data.replace(b"\n", b"\r\n"),
            "no final newline": data.rstrip(b"\n"),
        }[form]
        other = log.with_name("other")
        other.write_bytes(changed)
        found = document("--jail", "postfix-sasl", other)
    assert found["lines"] == 7
    assert found["jails"][0]["matched"] == 4
    assert [ban["address"] for ban in found["jails"][0]["bans"]] == [f"{A}/32"]


def test_lines_over_many_blocks_keep_their_numbers(tmp_path: Path) -> None:
    """In a log of some megabytes the numbers are those that `grep -n` gives."""
    path = tmp_path / "long.log"
    lines = [sasl(1, A, "x") if n % 9973 == 0 else QUIET for n in range(1, 60_001)]
    path.write_text("\n".join(lines) + "\n")
    found = [match["line"] for match in matches("--jail", "postfix-sasl", path)]
    assert found == [n for n in range(1, 60_001) if n % 9973 == 0]


def test_after_a_ban_has_ended_there_may_be_another(tmp_path: Path) -> None:
    """On the log's own time a ban of 24 h ends, and the next three failures bring the next."""
    path = tmp_path / "days.log"
    days = (line.replace("2026-05-01", f"2026-05-0{day}") for day in (1, 1, 1, 1, 3, 3, 3)
            for line in [sasl(1, A, "x")])  # fmt: skip
    path.write_text("\n".join(days) + "\n")
    (jail,) = document("--jail", "postfix-sasl", path)["jails"]
    assert [ban["line"] for ban in jail["bans"]] == [3, 7]


def test_the_text_ends_like_that_of_fail2ban_regex(log: Path) -> None:
    """Who is banned when, then the sentence that fail2ban-regex ends with."""
    result = cli("test", "--jail", "postfix-sasl", str(log))
    assert f"Ban {A} until " in result.stdout
    assert "Lines: 7 lines, 0 ignored, 4 matched, 3 missed" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--jail", "nope", "-"], "there is no jail 'nope'"),
        (["/nonexistent.log"], "/nonexistent.log: cannot be read"),
        (["/"], "/: cannot be read"),
        (["--known-users", "/nonexistent", "-"], "/nonexistent: cannot be read"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], sentence: str) -> None:
    """A wrong jail or path ends with status 1 and says what is wrong."""
    result = cli("test", *arguments)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1

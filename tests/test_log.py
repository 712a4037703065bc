"""The daemon's own log: what people and grep read, and what no client can make it say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailbanned.escape import escape_control
from mailbanned.log import Form, configure_logging, get_logger

FORMS: list[Form] = ["text", "keyvalue", "json"]
HOSTILE = [
    "root\n<0>[sshd] Ban 192.0.2.99",
    "\x1b[2J\x1b]0;owned\x07",
    "a\rb\x0bc\x0cd\x1ce\x85f\u2028g\u2029h",
    "\u202egnp.exe",
    "half \udcff",
    'x" failures=99 user="root',
    "x' failures=99",
    "back\\slash \\",
    "=",
    "\0",
]
# Values as logfmt writes them: bare, or quoted with backslashes before quotes and backslashes.
PAIR = re.compile(r'([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')


@pytest.fixture(autouse=True)
def _quiet_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test decides how its messages look, and none after it inherits that."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    yield
    structlog.reset_defaults()


def said(form: Form, capsys: pytest.CaptureFixture[str], **values: object) -> str:
    """What one ban looks like on stderr."""
    capsys.readouterr()
    configure_logging(form)
    get_logger("jails").warning("[sshd] Ban 192.0.2.1", failures=3, **values)
    return capsys.readouterr().err


def pairs(line: str) -> dict[str, str]:
    """The values of a key=value line, as a reader of logfmt takes them apart."""
    found = {}
    for key, quoted, bare in PAIR.findall(line):
        found[key] = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("user", HOSTILE)
def test_no_user_breaks_a_line(form: Form, user: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A message is one line of printable characters, whatever a client called itself."""
    text = said(form, capsys, user=user)
    assert text.endswith("\n")
    assert text[:-1].isprintable()


@pytest.mark.parametrize("form", FORMS)
def test_values_of_any_type_stay_in_their_line(
    form: Form, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths, errors and lists are escaped like texts."""
    evil = "a\n<0>b\x1b[2J"
    text = said(form, capsys, path=Path(evil), error=ValueError(evil), errors=[evil], none=None)
    assert text[:-1].isprintable()


@settings(max_examples=50)
@given(user=st.text(st.characters(exclude_categories=[])))
@example(user="")
def test_key_value_pairs_cannot_be_forged(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In key=value form a reader finds the values that were logged, and no others."""
    line = said("keyvalue", capsys, user=user)
    assert pairs(line) == {"component": "jails", "failures": "3", "user": escape_control(user)}


@settings(max_examples=50)
@given(user=st.text(st.characters(exclude_categories=[])))
def test_json_values_cannot_be_forged(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In JSON form each line is one object with the values that were logged."""
    document = json.loads(said("json", capsys, user=user))
    assert document.pop("at")
    assert document == {
        "event": "[sshd] Ban 192.0.2.1", "level": "warning", "component": "jails",
        "failures": 3, "user": escape_control(user),
    }  # fmt: skip


@pytest.mark.parametrize("user", ["x failures=99", "x' failures=99", 'x" failures=99'])
def test_text_values_with_spaces_are_quoted(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In text form a name with a space stands in quotes, so that it reads as one value."""
    line = said("text", capsys, user=user)
    assert f"user={user!r}" in line
    assert "failures=3 " in line


@pytest.mark.parametrize("form", FORMS)
def test_a_ban_is_greppable(form: Form, capsys: pytest.CaptureFixture[str]) -> None:
    """Every form says `[jail] Ban ADDRESS` literally, with the values beside it."""
    line = said(form, capsys, user="info")
    assert "[sshd] Ban 192.0.2.1" in line
    assert "info" in line


def test_plain_text_carries_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    """Colours are for terminals: a pipe gets none, even in text form."""
    assert "\x1b" not in said("text", capsys)


def test_auto_is_key_value_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal "auto" is key=value with a time and the level in front."""
    line = said("auto", capsys)
    assert re.match(
        r"\d{4}-\d\d-\d\dT[\d:.]+Z warning \[sshd\] Ban 192\.0\.2\.1 component=jails failures=3$",
        line,
    )


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)],
)
def test_journal_gets_priorities(
    level: str, priority: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under journald a line starts with its syslog priority instead of a time of its own."""
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    configure_logging("keyvalue", "debug")
    getattr(get_logger("daemon"), level)("it happened", why="so")
    assert capsys.readouterr().err == f"<{priority}>it happened component=daemon why=so\n"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("journal", [False, True])
def test_a_trace_cannot_pose_as_messages(
    form: Form, journal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below the sentence each line of a trace is indented and printable, whatever it says."""
    if journal:
        monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    configure_logging(form)
    try:
        raise ValueError("evil\n<0>[sshd] Ban 192.0.2.99\x1b[2J\r<0>too")
    except ValueError:
        get_logger("control").exception("a command failed")
    first, *rest = capsys.readouterr().err.rstrip("\n").split("\n")
    assert "a command failed" in first
    assert "ValueError: evil" in "\n".join((first, *rest))
    assert all(line.startswith("    ") for line in rest)
    assert all(line.isprintable() for line in (first, *rest))


def test_level_is_a_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    """Messages below the level are not written, those at it are."""
    configure_logging("keyvalue", "warning")
    get_logger("daemon").info("small talk")
    get_logger("daemon").warning("bad news")
    text = capsys.readouterr().err
    assert "small talk" not in text
    assert "bad news" in text


def test_the_daemon_does_not_carry_the_screen() -> None:
    """The log loads no rich, which the command line can still load afterwards."""
    code = (
        "import sys, mailbanned.daemon, mailbanned.log; print('rich' in sys.modules); "
        "import rich.console; print('rich' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["False", "True"]

"""`mailbanned test --explain LINE`: what becomes of one line, step by step."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cli.support import A, Hall, refused, turned

FITTING = f"May  1 06:43:08 mx door[7]: no entry for bob from {A}"
NEARLY = f"May  1 06:43:08 mx door[7]: no entry for bob off {A}"


def explained(hall: Hall, *arguments: str) -> str:
    """The text, with what depends on the day left out."""
    text = hall.text("--explain", *arguments)
    return re.sub(r"20\d\d-05-01T|\([^()]* (?:ago|ahead)\)|year 20\d\d", "...", text)


def source(hall: Hall, line: str, *arguments: str) -> dict[str, Any]:
    """The document of the one source that is asked."""
    (found,) = hall.document("--explain", line, *arguments)["sources"]
    assert isinstance(found, dict)
    return found


def test_a_line_that_fits(hall: Hall) -> None:
    """Its prefix, time, jails, and the patterns: the one that decides, and where others stop."""
    assert (
        explained(hall, FITTING)
        == f"""\
prefix  'May  1 06:43:08 mx '
time    ...06:43:08+00:00 ..., assuming ... and zone UTC
text    door[7]: no entry for bob from {A}

jail door    counts for {A}; 3 in 1h -> banned for 1d
jail strict  counts for {A}, unless account 'bob' exists; 1 in 1h -> banned for ever
jail gate    nothing: no pattern fits

How many bytes of the text fit, what is wanted behind them, and by which patterns:
filter door: refused fits: a failure of {A} as 'bob', session '7'
    18  `at night`                   closed
     9  `wrong key of `              wrong-key
     9  `welcome `                   welcome
     9  `the book of names is lost`  no-book
filter gate: nothing fits, since the text does not begin with `gate: `
"""
    )


def test_a_line_that_nearly_fits(hall: Hall) -> None:
    """It looks like a failure; a picture shows where the pattern that comes furthest stops."""
    text = explained(hall, NEARLY)
    assert (
        f"""
all 3 jails  nothing: no pattern fits
It looks like a failure, since 'no entry' is in it, but fits no pattern.

door/refused comes furthest:
  door[7]: no entry for bob off {A}
  {" " * 30}^ fits up to here; wanted: `from `

How many"""
        in text
    )
    assert text.count("^") == 1


def test_a_line_of_no_interest(hall: Hall) -> None:
    """A few lines are enough: there is no stamp, and no filter begins like that."""
    assert (
        explained(hall, "hello, world")
        == """\
prefix  none
time    none: the line does not begin with a stamp that is known
text    hello, world

all 3 jails  nothing: no pattern fits

How many bytes of the text fit, what is wanted behind them, and by which patterns:
filter door: nothing fits, since the text does not begin with `door\\[`
filter gate: nothing fits, since the text does not begin with `gate: `
"""
    )


def test_what_the_stamp_does_not_say_is_assumed(hall: Hall) -> None:
    """A zone or a year that the stamp lacks is named; one that it has is not."""
    config = hall.config.read_text()
    hall.config.write_text(
        config.replace('doors"\ntimezone = "UTC"', 'doors"\ntimezone = "Asia/Tokyo"')
    )
    tail = f"mx door[7]: no entry for bob from {A}"
    for stamp, assumed, clock in (
        ("May  1 06:43:08", {"year", "zone"}, "21:43:08"),
        ("2026-05-01T06:43:08", {"zone"}, "21:43:08"),
        ("2026-05-01T06:43:08+02:00", set(), "04:43:08"),
    ):
        found = source(hall, f"{stamp} {tail}", "--jail", "door")
        assert found["assumed"].keys() == assumed
        assert found["assumed"].get("zone", "Asia/Tokyo") == "Asia/Tokyo"
        assert found["at"].endswith(f"{clock}+00:00"), "of this host, whose zone is UTC in tests"
    hall.config.write_text(config.replace('timezone = "UTC"', ""))
    assert "which is this host's" in source(hall, FITTING, "--jail", "door")["assumed"]["zone"]


def test_sources_that_see_another_line_are_told_apart(hall: Hall) -> None:
    """With zones of their own, each source has its own time; else the line is shown once."""
    assert hall.text("--explain", FITTING).count("time    ") == 1
    config = hall.config.read_text()
    hall.config.write_text(
        config.replace('gates"\ntimezone = "UTC"', 'gates"\ntimezone = "Asia/Tokyo"')
    )
    text = hall.text("--explain", FITTING)
    assert text.count("time    ") == 2
    assert "In source doors\n\nprefix" in text
    assert "In source gates\n\nprefix" in text


@pytest.mark.parametrize(
    ("line", "jail", "verdict"),
    [
        ("door[7]: no entry for bob from 198.51.100.9", "door", "198.51.100.9 is ignored"),
        ("door[7]: no entry at night", "door", "known to be no failure (door/closed)"),
        (f"door[7]: welcome bob from {A}", "door", "a good login (door/welcome)"),
        ("door[7]: the book of names is lost", "door", "backend is down (door/no-book)"),
        (f"gate: turned away {A}", "strict", "no pattern fits"),
        ("gate: turned away 2001:db8::9", "asleep", "counts for 2001:db8::/64; 1 in 1h"),
        ("gate: turned away 203.0.113.500", "gate", "no pattern fits"),
        (f"door[7]: no entry for  from {A}", "strict", "the line names no account"),
    ],
)
def test_the_verdict_of_a_jail(hall: Hall, line: str, jail: str, verdict: str) -> None:
    """It says why the line counts or not, also for a resting jail that is named."""
    (found,) = source(hall, f"May  1 06:43:08 mx {line}", "--jail", jail)["jails"]
    assert found["name"] == jail
    assert verdict in found["verdict"]
    assert found["counts"] == verdict.startswith("counts")
    assert found["verdict"].startswith("nothing: ") != found["counts"]


def test_an_address_that_is_none(hall: Hall) -> None:
    """A line that fits but for the number in the address is told so."""
    (one,) = source(hall, "gate: turned away 203.0.113.500", "--jail", "gate")["filters"]
    (pattern,) = one["patterns"]
    assert (pattern["fits"], pattern["wanted"]) == (False, "an address that can be read")


def test_the_document(hall: Hall) -> None:
    """What fits decides and says whom it means; what does not has its place."""
    document = hall.document("--explain", NEARLY, "--jail", "door")
    assert (document["version"], document["line"]) == (1, NEARLY)
    (found,) = document["sources"]
    assert (found["source"], found["prefix"]) == ("doors", "May  1 06:43:08 mx ")
    assert found["suspect"] == "no entry"
    refused_, *_ = (p for p in found["filters"][0]["patterns"] if p["name"] == "refused")
    assert refused_ == {
        "name": "refused", "kind": "failure", "fits": False, "fits_bytes": 30, "wanted": "from ",
        "shown": f"door[7]: no entry for bob off {A}\n{' ' * 30}^ fits up to here; wanted: `from `",
    }  # fmt: skip
    (found,) = hall.document("--explain", FITTING, "--jail", "door")["sources"]
    deciding = [p for p in found["filters"][0]["patterns"] if p.get("decides")]
    assert [(p["name"], p["address"], p["user"], p["session"]) for p in deciding] == [
        ("refused", A, "bob", "7")
    ]


def test_wrapped_lines_are_unwrapped(hall: Hall) -> None:
    """Of RFC 5424, of repeated messages, of containers: the text is the message itself."""
    message = f"no entry for bob from {A}"
    for line in (
        f"<38>1 2026-05-01T06:43:08Z mx door 7 - - {message}",
        f"2026-05-01T06:43:08.123456789Z stdout P door[7]: no entry\n"
        f"2026-05-01T06:43:08.123456789Z stdout F  for bob from {A}\n",
        f"May  1 06:43:08 mx door[7]: message repeated 3 times: [ {message}]",
    ):
        text = hall.text("--explain", line, "--jail", "door")
        assert f"text    door[7]: {message}" in text
        assert "jail door  counts for" in text
        assert ("stands for 3 such lines" in text) == ("repeated" in line)


def test_odd_bytes_are_escaped(hall: Hall) -> None:
    """They match as they are, and reach no terminal."""
    line = "May  1 06:43:08 mx door[7]: no entry for \x1b[31mb\x9b\u202e\udcff from " + A
    for options in ([], ["--json"]):
        out = hall.terminal("test", "--explain", line, *options)
        assert re.sub(r"\x1b\[[0-9;]*m", "", out).replace("\r\n", "").isprintable()
        assert "\x1b[31mb" not in out
    (found,) = hall.document("--explain", line, "--jail", "door")["sources"]
    assert "\x1b[31mb\x9b\u202e\N{REPLACEMENT CHARACTER} from" in found["text"]
    assert found["jails"][0]["counts"]


def test_a_line_may_come_from_standard_input(hall: Hall) -> None:
    """`grep ... | tail -n 1 | mailbanned test --explain -` spares the quoting."""
    text = hall.text("--explain", "-", stdin=f"{turned('06:43:08')}\r\n")
    assert text.startswith("prefix  '2026-05-01T06:43:08+00:00 mx '\n")
    assert f"jail gate    counts for {A}" in text


@pytest.mark.parametrize("lines", ["", "\n", f"{refused('06:43:01')}\n{refused('06:43:02')}\n"])
def test_one_line_is_explained(hall: Hall, lines: str) -> None:
    """None and two are refused."""
    sentence = "--explain needs one line of a log; for more there is `mailbanned test LOG`"
    assert hall.refusal("--explain", "-", status=1, stdin=lines) == sentence
    assert hall.refusal("--explain", lines, status=1) == sentence


def test_a_line_that_is_too_long(hall: Hall) -> None:
    """Nobody looks at it, so no pattern is asked."""
    line = f"{refused('06:43:01')} {'x' * 9000}"
    found = source(hall, line, "--jail", "door")
    assert (found["overlong"], found["filters"]) == (True, [])
    assert found["jails"][0]["verdict"] == "nothing: the line has over 8,192 bytes"
    assert "all 3 jails  nothing: the line has over 8,192 bytes" in hall.text("--explain", line)

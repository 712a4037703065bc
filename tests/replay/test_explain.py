"""`mailbanned test --explain LINE`: what becomes of one line, step by step."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.demo_host import A, DemoHost, failed, rejected

FITTING = f"May  1 06:43:08 mx app[7]: login failed for bob from {A}"
NEARLY = f"May  1 06:43:08 mx app[7]: login failed for bob off {A}"


def explained(host: DemoHost, *arguments: str) -> str:
    """The text, with what depends on the day left out."""
    text = host.text("--explain", *arguments)
    return re.sub(r"20\d\d-05-01T|\([^()]* (?:ago|ahead)\)|year 20\d\d", "...", text)


def source(host: DemoHost, line: str, *arguments: str) -> dict[str, Any]:
    """The document of the one source that is asked."""
    (found,) = host.document("--explain", line, *arguments)["sources"]
    assert isinstance(found, dict)
    return found


def test_a_line_that_fits(host: DemoHost) -> None:
    """Its prefix, time, jails, and the patterns: the one that decides, and where others stop."""
    assert (
        explained(host, FITTING)
        == f"""\
prefix  'May  1 06:43:08 mx '
time    ...06:43:08+00:00 ..., assuming ... and zone UTC
text    app[7]: login failed for bob from {A}

jail app     counts for {A}; 3 in 1h -> banned for 1d
jail strict  counts for {A}, unless account 'bob' exists; 1 in 1h -> banned for ever
jail relay   nothing: no pattern fits

Patterns that do not match: matched bytes, expected next, names:
filter app: login-failed fits: a failure of {A} as 'bob', session '7'
    20  `: rate limit`          rate-limit
    14  `ok for `               login-ok
     8  `wrong password of `    wrong-password
     8  `database unavailable`  no-database
filter relay: nothing fits, since the text does not begin with `relay: `
"""
    )


def test_a_line_that_nearly_fits(host: DemoHost) -> None:
    """It looks like a failure; a picture shows where the pattern that comes furthest stops."""
    text = explained(host, NEARLY)
    assert (
        f"""
all 3 jails  nothing: no pattern fits
It looks like a failure, since 'login failed' is in it, but fits no pattern.

app/login-failed comes furthest:
  app[7]: login failed for bob off {A}
  {" " * 33}^ fits up to here; wanted: `from `

Patterns"""
        in text
    )
    assert text.count("^") == 1


def test_a_line_of_no_interest(host: DemoHost) -> None:
    """A few lines are enough: there is no stamp, and no filter begins like that."""
    assert (
        explained(host, "hello, world")
        == """\
prefix  none
time    none: the line does not begin with a known timestamp
text    hello, world

all 3 jails  nothing: no pattern fits

Patterns that do not match: matched bytes, expected next, names:
filter app: nothing fits, since the text does not begin with `app\\[`
filter relay: nothing fits, since the text does not begin with `relay: `
"""
    )


def test_what_the_stamp_does_not_say_is_assumed(host: DemoHost) -> None:
    """A zone or a year that the stamp lacks is named; one that it has is not."""
    config = host.config.read_text()
    host.config.write_text(
        config.replace('app"\ntimezone = "UTC"', 'app"\ntimezone = "Asia/Tokyo"')
    )
    tail = f"mx app[7]: login failed for bob from {A}"
    for stamp, assumed, clock in (
        ("May  1 06:43:08", {"year", "zone"}, "21:43:08"),
        ("2026-05-01T06:43:08", {"zone"}, "21:43:08"),
        ("2026-05-01T06:43:08+02:00", set(), "04:43:08"),
    ):
        found = source(host, f"{stamp} {tail}", "--jail", "app")
        assert found["assumed"].keys() == assumed
        assert found["assumed"].get("zone", "Asia/Tokyo") == "Asia/Tokyo"
        assert found["at"].endswith(f"{clock}+00:00"), "of this host, whose zone is UTC in tests"
    host.config.write_text(config.replace('timezone = "UTC"', ""))
    assert "which is this host's" in source(host, FITTING, "--jail", "app")["assumed"]["zone"]


def test_sources_that_parse_the_line_differently_are_shown_apart(host: DemoHost) -> None:
    """With zones of their own, each source has its own time; else the line is shown once."""
    assert host.text("--explain", FITTING).count("time    ") == 1
    config = host.config.read_text()
    host.config.write_text(
        config.replace('relay"\ntimezone = "UTC"', 'relay"\ntimezone = "Asia/Tokyo"')
    )
    text = host.text("--explain", FITTING)
    assert text.count("time    ") == 2
    assert "In source app\n\nprefix" in text
    assert "In source relay\n\nprefix" in text


@pytest.mark.parametrize(
    ("line", "jail", "verdict"),
    [
        ("app[7]: login failed for bob from 198.51.100.9", "app", "198.51.100.9 is ignored"),
        ("app[7]: login failed: rate limit", "app", "known to be no failure (app/rate-limit)"),
        (f"app[7]: login ok for bob from {A}", "app", "a good login (app/login-ok)"),
        ("app[7]: database unavailable", "app", "backend is down (app/no-database)"),
        (f"relay: rejected {A}", "strict", "no pattern fits"),
        ("relay: rejected 2001:db8::9", "off", "counts for 2001:db8::/64; 1 in 1h"),
        ("relay: rejected 203.0.113.500", "relay", "no pattern fits"),
        (f"app[7]: login failed for  from {A}", "strict", "the line names no account"),
    ],
)
def test_the_verdict_of_a_jail(host: DemoHost, line: str, jail: str, verdict: str) -> None:
    """It says why the line counts or not, also for a resting jail that is named."""
    (found,) = source(host, f"May  1 06:43:08 mx {line}", "--jail", jail)["jails"]
    assert found["name"] == jail
    assert verdict in found["verdict"]
    assert found["counts"] == verdict.startswith("counts")
    assert found["verdict"].startswith("nothing: ") != found["counts"]


def test_an_address_that_is_none(host: DemoHost) -> None:
    """The address that cannot be parsed is named as the reason."""
    (filter_,) = source(host, "relay: rejected 203.0.113.500", "--jail", "relay")["filters"]
    (pattern,) = filter_["patterns"]
    assert (pattern["fits"], pattern["wanted"]) == (False, "an address that can be read")


def test_the_document(host: DemoHost) -> None:
    """What fits decides and says whom it means; what does not has its place."""
    document = host.document("--explain", NEARLY, "--jail", "app")
    assert (document["version"], document["line"]) == (1, NEARLY)
    (found,) = document["sources"]
    assert (found["source"], found["prefix"]) == ("app", "May  1 06:43:08 mx ")
    assert found["suspect"] == "login failed"
    pattern, *_ = (p for p in found["filters"][0]["patterns"] if p["name"] == "login-failed")
    assert pattern == {
        "name": "login-failed",
        "kind": "failure",
        "fits": False,
        "fits_bytes": 33,
        "wanted": "from ",
        "shown": f"app[7]: login failed for bob off {A}\n"
        f"{' ' * 33}^ fits up to here; wanted: `from `",
    }
    (found,) = host.document("--explain", FITTING, "--jail", "app")["sources"]
    deciding = [p for p in found["filters"][0]["patterns"] if p.get("decides")]
    assert [(p["name"], p["address"], p["user"], p["session"]) for p in deciding] == [
        ("login-failed", A, "bob", "7")
    ]


def test_wrapped_lines_are_unwrapped(host: DemoHost) -> None:
    """Of RFC 5424, of repeated messages, of containers: the text is the message itself."""
    message = f"login failed for bob from {A}"
    for line in (
        f"<38>1 2026-05-01T06:43:08Z mx app 7 - - {message}",
        f"2026-05-01T06:43:08.123456789Z stdout P app[7]: login failed\n"
        f"2026-05-01T06:43:08.123456789Z stdout F  for bob from {A}\n",
        f"May  1 06:43:08 mx app[7]: message repeated 3 times: [ {message}]",
    ):
        text = host.text("--explain", line, "--jail", "app")
        assert f"text    app[7]: {message}" in text
        assert "jail app  counts for" in text
        assert ("repeated 3 times" in text) == ("repeated" in line)


def test_odd_bytes_are_escaped(host: DemoHost) -> None:
    """They match as they are, and reach no terminal."""
    line = "May  1 06:43:08 mx app[7]: login failed for \x1b[31mb\x9b\u202e\udcff from " + A
    for options in ([], ["--json"]):
        out = host.terminal("test", "--explain", line, *options)
        assert re.sub(r"\x1b\[[0-9;]*m", "", out).replace("\r\n", "").isprintable()
        assert "\x1b[31mb" not in out
    (found,) = host.document("--explain", line, "--jail", "app")["sources"]
    assert "\x1b[31mb\x9b\u202e\N{REPLACEMENT CHARACTER} from" in found["text"]
    assert found["jails"][0]["counts"]


def test_a_line_may_come_from_standard_input(host: DemoHost) -> None:
    """`grep ... | tail -n 1 | mailbanned test --explain -` spares the quoting."""
    text = host.text("--explain", "-", stdin=f"{rejected('06:43:08')}\r\n")
    assert text.startswith("prefix  '2026-05-01T06:43:08+00:00 mx '\n")
    assert f"jail relay   counts for {A}" in text


@pytest.mark.parametrize("lines", ["", "\n", f"{failed('06:43:01')}\n{failed('06:43:02')}\n"])
def test_one_line_is_explained(host: DemoHost, lines: str) -> None:
    """None and two are errors."""
    sentence = "--explain needs one line of a log; for more there is `mailbanned test LOG`"
    assert host.refusal("--explain", "-", status=1, stdin=lines) == sentence
    assert host.refusal("--explain", lines, status=1) == sentence


def test_a_line_that_is_too_long(host: DemoHost) -> None:
    """It is not matched with any pattern."""
    line = f"{failed('06:43:01')} {'x' * 9000}"
    found = source(host, line, "--jail", "app")
    assert (found["overlong"], found["filters"]) == (True, [])
    assert found["jails"][0]["verdict"] == "nothing: the line has over 8,192 bytes"
    assert "all 3 jails  nothing: the line has over 8,192 bytes" in host.text("--explain", line)

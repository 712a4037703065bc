"""What `mailbanned test` prints: text, terminal output, unmatched lines, usage errors."""

from __future__ import annotations

import json
import re

import pytest

from tests.demo_host import A, B, C, DemoHost, at, failed, rejected

ODD = at("06:43:02", "app[1]: login failed whatsoever for bob")
HOSTILE = "a\x1b[31mb\x9b2J\u202e"


def test_the_text(host: DemoHost) -> None:
    """A table of the jails, what to look at, each jail with its bans, fail2ban-regex's sentence."""
    log = host.log(
        *(failed(f"06:43:0{n}", user="bob", session=n) for n in (1, 2, 3)),
        failed("06:43:04", B, user="alice"), failed("06:43:09", session=4), ODD,
        at("06:50:00", "app[7]: connection opened"),
    )  # fmt: skip
    assert (
        host.text(log).partition("\n[processed in ")[0]
        == f"""\
jail    matched  addresses  users  bans  prevented
app           5          2      2     1          1
strict        5          2      2     2          3
relay         -          -      -     -          -

! 1 line looks like a failure, but no pattern fits: see --unmatched

! strict counts every name: the account database is not asked here; give the accounts with \
--known-users FILE

app: 3 failures in 1h -> banned for 1d
  most from  {A} 4
  most as    'bob' 4
  2026-05-01T06:43:03  Ban {A} until 2026-05-02T06:43:03  line 3  prevents 1, as 'bob'

strict: 1 failure in 1h -> banned for ever
  most from  {A} 4
  most as    'bob' 4
  2026-05-01T06:43:01  Ban {A} for ever  line 1  prevents 3, as 'bob'
  2026-05-01T06:43:04  Ban {B} for ever  line 4  as 'alice'

Lines: 7 lines, 0 ignored, 5 matched, 2 missed"""
    )


def test_known_users_end_the_warning(host: DemoHost) -> None:
    """With a list of accounts (case, blanks and the domain do not matter) nothing is to be said."""
    users = host.write("users", " Bob@example.org\r\n\nalice\n")
    names = ("bob", "ALICE ", "bob@example.org", "eve")
    log = host.log(*(failed("06:43:01", user=name) for name in names))
    document = host.document("--known-users", users, "--jail", "strict", log)
    assert document["known_users"] == 2
    assert [ban["user"] for ban in document["jails"][0]["bans"]] == ["eve"]
    assert "account database" not in host.text("--known-users", users, log)
    assert "account database" not in host.text("--jail", "app", log)


def test_a_log_in_which_nothing_matches(host: DemoHost) -> None:
    """The next step is named: --explain."""
    text = host.text(host.log(at("06:00:00", "app[1]: connection opened")))
    assert "! no line matched: --explain LINE shows why a line does not\n" in text
    assert "account database" not in text
    assert "no line matched" not in host.text(host.log())


def test_unmatched_lists_what_looks_like_a_failure(host: DemoHost) -> None:
    """Lines with a suspect text that fit no pattern, not even an ignored one, within the time."""
    log = host.log(
        at("06:43:00", "app[1]: login failed: rate limit"),
        failed("06:43:01"),
        ODD,
        rejected("06:43:03"),
        at("06:43:04", "relay: rejecting nothing"),
        at("07:00:00", "app[1]: login failed any more"),
    )
    assert host.text("--unmatched", "--until", "2026-05-01T06:59Z", log).splitlines() == [
        "3: app[1]: login failed whatsoever for bob",
        "5: relay: rejecting nothing",
    ]
    assert host.document("--until", "2026-05-01T06:59Z", log)["unmatched"] == 2
    assert (
        host.text("--unmatched", log, log).splitlines()[-1]
        == f"{log}:6: app[1]: login failed any more"
    )
    found = host.lines("--unmatched", "--json", log)
    assert found[1] == {
        "line": 5, "source": "relay", "at": found[1]["at"], "text": "relay: rejecting nothing",
        "log": str(log),
    }  # fmt: skip


def test_control_characters_are_escaped(host: DemoHost) -> None:
    """Not those of lines, not those of names of logs, in no form of output; only our colours do."""
    odd = at("06:43:02", f"app[1]: login failed {HOSTILE}")
    lines = f"{failed('06:43:01', user=HOSTILE)}\r\n{odd}\n".encode()
    log = host.write("evil\x1b[31m\u202e", lines + b"\xff\x9b login failed\n")
    for options in ([], ["--json"], ["--matches"], ["--unmatched"], ["--unmatched", "--json"]):
        out = host.terminal("test", "--jail", "strict", *options, log, log)
        assert out
        bare = re.sub(r"\x1b\[[0-9;]*m", "", out).replace("\r\n", "")
        assert bare.isprintable(), options
        assert "\x1b[31mb" not in out
    match = json.loads(host.text("--jail", "strict", "--matches", log))
    assert match["user"] == HOSTILE


def test_a_terminal_sees_the_last_bans_of_each_jail(host: DemoHost) -> None:
    """All of them are shown in pipes, and of a jail that is named; lines fit the terminal."""
    addresses = [f"192.0.2.{n}" for n in range(1, 21)]
    log = host.log(*(failed("06:43:01", address, user="u" * 99) for address in addresses))
    assert host.text(log).count("  Ban ") == 20
    out = host.terminal("test", log, columns=90)
    assert "  12 earlier bans not shown: --jail strict shows all" in out
    assert (addresses[11] in out, addresses[12] in out) == (False, True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()
    assert max(map(len, plain)) == 90
    assert host.terminal("test", "--jail", "strict", log).count("  Ban ") == 20


def test_colours_are_for_terminals(host: DemoHost) -> None:
    """A terminal gets some, unless $NO_COLOR is set; a pipe never does."""
    log = host.log(failed("06:43:01"))
    assert f"\x1b[31m{A}\x1b[0m" in host.terminal("test", log)
    assert "\x1b" not in host.terminal("test", log, NO_COLOR="1")
    assert "\x1b" not in host.text(log)


def test_names_outside_the_encoding_are_escaped(host: DemoHost) -> None:
    """Output in Latin-1 neither fails nor stops at a Japanese name."""
    log = host.log(failed("06:43:01", user="日本"), failed("06:43:02", C, user="jürgen"))
    out = host.terminal("test", "--jail", "strict", log, PYTHONIOENCODING="latin-1")
    assert "'\\u65e5\\u672c'" in out
    assert "'j\N{REPLACEMENT CHARACTER}rgen'" in out  # an \xfc, which is not UTF-8


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name a LOG to read (- is standard input), or --explain a line"),
        (
            ["log", "--explain", "x"],
            "name a LOG to read (- is standard input), or --explain a line",
        ),
        (["--matches", "--unmatched", "log"], "--matches and --unmatched do not go together"),
        (["--since", "yesterday", "log"], "--since: 'yesterday' is not a time; write 2026-05-01, "),
        (["--since", "2026", "log"], "--since: '2026' is not a time; "),
        (["--until", "", "log"], "--until: '' is not a time; "),
        (["--until", "2026-05-01T25:00", "log"], "--until: '2026-05-01T25:00' is not a time; "),
        (["--since", "\x1b[31m", "log"], "--since: '\\x1b[31m' is not a time; "),
        (["--since", "0001-01-01", "log"], "--since: '0001-01-01' is not a time; "),
        (["--since", "1d", "--until", "2d", "log"], "--since is not before --until"),
        (["--frobnicate"], "No such option '--frobnicate'"),
    ],
)
def test_wrong_usage_is_one_sentence(host: DemoHost, arguments: list[str], sentence: str) -> None:
    """It ends with 2, says what is wrong, and where help is."""
    refusal = host.refusal(*arguments, status=2)
    assert refusal.startswith(sentence)
    assert refusal.endswith("(see mailbanned test --help)")

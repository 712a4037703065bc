"""The logs that `mailbanned test` reads: compressed, damaged, endless, long; its output."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.command import MAILBANNED, program
from tests.demo_host import A, DemoHost, at, failed
from tests.waiting import HANG_S

QUIET = at("06:00:00", "app[1]: connection opened")


def test_gzip_is_known_by_its_content(host: DemoHost) -> None:
    """Whatever a log is called, in a file, in two pieces, and on standard input."""
    data = gzip.compress(f"{failed('06:43:01')}\n".encode()) + gzip.compress(
        f"{failed('06:43:02', session=2)}\n".encode()
    )
    packed = host.write("log", data)
    assert host.document(packed)["matched"] == 2
    assert host.document("-", stdin=data)["matched"] == 2


@pytest.mark.parametrize("how", ["cut off", "garbled", "only a header", "not really"])
def test_damaged_gzip_is_one_sentence(host: DemoHost, how: str) -> None:
    """It ends with 1 and says what still can be done."""
    data = gzip.compress(os.urandom(20_000))
    broken = {
        "cut off": data[:9000],
        "garbled": data[:10] + b"\x07" + data[11:],  # no deflate block is of type 3
        "only a header": data[:10],
        "not really": b"\x1f\x8b" + b"x" * 100,
    }[how]
    sentence = host.refusal(host.write("log.gz", broken), status=1)
    assert "log.gz: cannot be read (damaged or truncated; " in sentence
    assert "zcat" in sentence


def test_what_is_no_log_is_one_sentence(host: DemoHost) -> None:
    """A folder, a file that is not there, a file that may not be read."""
    sentence = host.refusal(host.folder, status=1)
    assert sentence == f"{host.folder}: cannot be read (it is a directory; name the logs in it)"
    sentence = host.refusal(host.log(QUIET), "/nonexistent", status=1)
    assert sentence == "/nonexistent: cannot be read (No such file or directory)"
    assert "\\x1b[31m" in host.refusal("evil\x1b[31m", status=1)
    result = subprocess.run(
        ["sh", "-c", f"exec {MAILBANNED} -c {host.config} test - <&-"],
        capture_output=True, text=True, timeout=HANG_S,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr == "mailbanned: -: cannot be read (standard input is closed)\n"


def test_nothing_at_all_is_a_log(host: DemoHost) -> None:
    """An empty file and an empty standard input have no lines, and that is no mistake."""
    assert host.document(host.log())["lines"] == 0
    assert host.document("-", stdin=b"")["lines"] == 0


def test_an_endless_line_is_passed_over(host: DemoHost) -> None:
    """A binary without line feeds neither fills the memory nor hides the line behind it."""
    log = host.folder / "log"
    with log.open("wb") as file:
        file.truncate(600 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + failed("06:43:01").encode() + b"\n" + b"y" * 100)
    result = subprocess.run(
        ["sh", "-c", f"ulimit -v 800000; exec {MAILBANNED} -c {host.config} test --json {log}"],
        capture_output=True, text=True, timeout=HANG_S, check=True,
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert (document["lines"], document["matched"]) == (3, 1)
    assert document["jails"][1]["bans"][0]["line"] == 2


def test_an_endless_last_line_is_a_line(host: DemoHost) -> None:
    """A line that is skipped at the end of the log counts as a line, as any other one."""
    log = host.folder / "log"
    log.write_bytes(failed("06:43:01").encode() + b"\n" + b"x" * (3 << 20))
    document = host.document(log)
    assert (document["lines"], document["matched"]) == (2, 1)


def test_a_message_that_a_container_runtime_cut_up_is_one(host: DemoHost) -> None:
    """Wherever the blocks of reading end: its parts are joined, and lines keep their numbers."""
    head = "2026-05-01T06:43:08.123456789Z stdout"
    message = (f"{head} P app[1]: login failed for {'x' * 100}", f"{head} F {'x' * 7000} from {A}")
    log = host.log(*message * 300)
    out = host.lines("--jail", "strict", "--matches", log)
    assert [match["line"] for match in out] == [n * 2 for n in range(1, 301)]


def test_several_logs_are_named(host: DemoHost) -> None:
    """Matches, bans and the text name the log; each log counts its lines from 1."""
    first = host.log(QUIET, failed("06:43:01"), name="one")
    second = host.log(failed("07:00:00"), name="two")
    out = host.lines("--jail", "strict", "--matches", first, second)
    assert [(match["log"], match["line"]) for match in out] == [(str(first), 2), (str(second), 1)]
    document = host.document("--jail", "strict", first, second)
    assert (document["logs"], document["lines"]) == ([str(first), str(second)], 3)
    assert f"{first}:2  " in host.text("--jail", "strict", first, second)
    assert f"{first}:2  " not in host.text("--jail", "strict", first)


@pytest.mark.parametrize("option", ["--matches", "--unmatched"])
def test_a_closed_pipe_ends_the_command(host: DemoHost, option: str) -> None:
    """`mailbanned test ... | head` ends at once, and prints no error."""
    log = host.log(*[failed("06:43:01"), at("06:43:01", "app[1]: login failed")] * 20_000)
    result = subprocess.run(
        f"{MAILBANNED} -c {host.config} test {option} {log} | head -n 1",
        shell=True, capture_output=True, text=True, timeout=HANG_S,
    )  # fmt: skip
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 1


@pytest.fixture
def long_log(host: DemoHost) -> Path:
    """A log that is long enough for a progress bar."""
    return host.write("long", f"{QUIET}\n".encode() * (20_000_000 // len(QUIET)))


def test_a_bar_is_shown_for_long_logs(host: DemoHost, long_log: Path) -> None:
    """On a terminal it shows the percentage, and is removed before the result is printed."""
    out = host.terminal("test", "--jail", "app", long_log)
    percents = [int(percent) for percent in re.findall(r"(\d+)%", out)]
    assert percents
    assert percents == sorted(percents)
    before, _, after = out.partition("reading")
    assert "jail" not in before
    assert re.search(r"\x1b\[2K.*jail +.*matched", after, re.DOTALL)


def test_no_bar_for_short_logs_and_in_pipes(host: DemoHost, long_log: Path) -> None:
    """Not for short logs, not in pipes, and not in between the lines of --matches."""
    assert "reading" not in host.terminal("test", "--jail", "app", host.log(QUIET))
    assert "reading" not in host.terminal("test", "--jail", "app", "--matches", long_log)
    result = program("-c", str(host.config), "test", "--jail", "app", str(long_log))
    assert (result.returncode, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout

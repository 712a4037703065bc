"""JournalSource over a stand-in for journalctl: records in, lines out, whatever happens to it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailbanned.sources.journal.reader import Limits
from tests.sources.journals import Journal, Sources
from tests.sources.rig import HastyClock
from tests.waiting import HANG_S, until

SSHD = "journal sshd.service"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


async def test_records_become_lines(journal: Journal) -> None:
    """Old records are caught up with, new ones are live, and what is at hand is one block."""
    for number in range(3):
        journal.write(f"old {number}", at=1_777_610_588.123456)
    sources = Sources(journal.command)
    source = sources.start("sshd", "sshd")
    async with sources.reading():
        await until(lambda: len(sources.messages("sshd")) == 3)
        first = b"2026-05-01T04:43:08.123456+00:00 mx sshd-session[77]: old 0\n"
        assert sources.blocks["sshd"][0].data.startswith(first)
        assert [block.live for block in sources.blocks["sshd"]] == [False]
        assert source.state().state == "catching-up"
        assert source.state().lag_s > 1_000_000
        await until(lambda: source.state().state == "following")
        before = time.time()
        journal.write("new", at=1_999_999_999)
        await until(lambda: len(sources.messages("sshd")) == 4)
        block = sources.blocks["sshd"][-1]
        assert (block.source, block.live) == ("sshd", True)
        assert block.marks == {SSHD: "@1999999999000000 s=abc;i=4"}
        assert before <= block.arrived <= time.time()
        state = source.state()
        assert (state.kind, state.paths, state.lines) == ("journal", ("sshd.service",), 4)
        assert (state.state, state.lag_s) == ("following", 0.0)


async def test_a_clock_that_is_set_back_makes_nothing_old(journal: Journal) -> None:
    """Once lines come as they are written, they do so whatever their stamps say."""
    sources = Sources(journal.command)
    sources.start("sshd", "sshd")
    async with sources.reading():
        journal.write("new")
        await until(lambda: sources.messages("sshd") == ["new"])
        journal.write("newer", at=time.time() - 7200)
        await until(lambda: sources.messages("sshd") == ["new", "newer"])
    assert [block.live for block in sources.blocks["sshd"]] == [True, True]


async def test_how_journalctl_is_called(journal: Journal) -> None:
    """The first run begins at `since`; a later one at the mark; a mark that is none counts not."""
    for marks in ({}, {SSHD: "@1777610588123456 s=abc;i=9"}, {SSHD: "@1 --vacuum-size=1"}):
        sources = Sources(journal.command)
        sources.start("sshd", "sshd.service", "CONTAINER_NAME=ssh", marks=marks)
        runs = len(journal.starts())
        async with sources.reading():
            await until(lambda runs=runs: len(journal.starts()) > runs)  # type: ignore[misc]
    (_, *first), (_, *second), (_, *third) = journal.starts()
    assert "--since=@1700000000" in first
    assert "--since=@1700000000" in second, "the match has no mark yet"
    assert first == second == third
    assert first[-6:] == [
        "SYSLOG_IDENTIFIER=sshd",
        "SYSLOG_IDENTIFIER=sshd-session",
        "SYSLOG_IDENTIFIER=sshd-auth",
        "_UID=0",
        "+",
        "CONTAINER_NAME=ssh",
    ]
    sources = Sources(journal.command)
    sources.start("sshd", "sshd", marks={SSHD: "@1777610588123456 s=abc;i=9"})
    async with sources.reading():
        await until(lambda: len(journal.starts()) == 4)
    assert "--cursor=s=abc;i=9" in journal.starts()[3]


async def test_what_is_not_believed_is_left_out(journal: Journal) -> None:
    """A forged or broken record yields no line and stops nothing."""
    sources = Sources(journal.command)
    sources.start("sshd", "sshd")
    async with sources.reading():
        journal.write("forged", _UID="1000")
        journal.tell("no JSON")
        journal.tell("[]")
        journal.write(None)
        journal.write("true")
        await until(lambda: sources.messages("sshd") == ["true"])


async def test_a_huge_record_is_left_out(journal: Journal) -> None:
    """A record beyond a megabyte is skipped; those around it are not."""
    sources = Sources(journal.command)
    sources.start("sshd", "sshd")
    async with sources.reading():
        journal.write("before")
        journal.write("x" * 3_000_000)
        journal.write("after")
        await until(lambda: sources.messages("sshd") == ["before", "after"])


async def test_journalctl_is_started_again(journal: Journal) -> None:
    """When journalctl ends, it is told once with its last words, and goes on where it was."""
    clock = HastyClock()
    sources = Sources(journal.command, clock)
    source = sources.start("sshd", "sshd")
    with capture_logs() as said:
        async with sources.reading():
            journal.write("one")
            await until(lambda: sources.messages("sshd") == ["one"])
            journal.write("two")
            journal.tell("!exit 3 broken journal")
            journal.tell("!exit 3 broken journal")
            journal.write("three")
            await until(lambda: source.state().state == "down")
            clock.ahead += 60
            assert "broken journal" in source.state().detail
            assert source.state().lag_s > 60
            await until(lambda: sources.messages("sshd") == ["one", "two", "three"])
            await until(lambda: source.state().state == "following")
            assert len(journal.starts()) == 3
    assert [(entry["log_level"], "broken" in entry["event"]) for entry in said] == [
        ("warning", True),
        ("info", False),
    ]


async def test_a_missing_journalctl_is_told_once(journal: Journal, tmp_path: Path) -> None:
    """Without journalctl all sources are down, which is said once; with it, they follow."""
    script = tmp_path / "bin"
    sources = Sources((str(script),))
    both = [sources.start("sshd", "sshd"), sources.start("mail", "postfix")]
    with capture_logs() as said:
        async with sources.reading():
            await until(lambda: all(one.state().state == "down" for one in both))
            assert str(script) in both[1].state().detail
            journal.write("one")
            (tmp_path / "new").write_text(f'#!/bin/sh\nexec {" ".join(journal.command)} "$@"\n')
            (tmp_path / "new").chmod(0o755)
            (tmp_path / "new").rename(script)
            await until(lambda: sources.messages("sshd") == ["one"])
            await until(lambda: all(one.state().state == "following" for one in both))
    assert [entry["log_level"] for entry in said] == ["warning", "info"]


@pytest.mark.parametrize("deaf", [False, True])
async def test_journalctl_ends_with_the_daemon(journal: Journal, deaf: bool) -> None:
    """When reading is stopped, its journalctl is gone, even one that ignores SIGTERM."""
    # One that obeys is not waited for to the end of this time.
    limits = Limits(end_s=0.5 if deaf else 10 * HANG_S)
    sources = Sources(journal.command, limits=limits)
    sources.start("sshd", "sshd")
    async with asyncio.timeout(HANG_S), sources.reading():
        if deaf:
            journal.tell("!deaf")
        journal.write("one")
        await until(lambda: sources.messages("sshd") == ["one"])
        (pid, *_) = journal.starts()[0]
        os.kill(int(pid), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


async def test_a_deaf_journalctl_is_not_left_behind_in_a_hurry(
    journal: Journal,
) -> None:
    """When the daemon ends while its journalctl is being exchanged, the old one is gone, too."""
    sources = Sources(journal.command, limits=Limits(end_s=10 * HANG_S))
    sources.start("sshd", "sshd")
    async with asyncio.timeout(HANG_S), sources.reading():
        journal.tell("!deaf")
        journal.write("one")
        await until(lambda: sources.messages("sshd") == ["one"])
        (pid, *_) = journal.starts()[0]
        await sources.stop("sshd")
        await until(journal.path.with_suffix(".asked").exists)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


async def test_back_pressure_reaches_journalctl(journal: Journal) -> None:
    """While nobody takes blocks, little is read ahead; afterwards every record comes once."""
    for number in range(10_000):
        journal.write(str(number))
    clock = HastyClock()
    sources = Sources(journal.command, clock)
    source = sources.start("sshd", "sshd")
    sources.gates["sshd"].clear()
    async with sources.reading():
        await sources.stuck("sshd", ["sshd"], 10_000)
        assert source.state().lines < 1000
        clock.ahead += 30
        assert source.state().lag_s > 30, "what was read has not been taken yet"
        released = time.time()
        sources.gates["sshd"].set()
        await until(lambda: source.state().lines == 10_000)
        # One that is held up, and one behind it.
        assert sum(block.arrived < released for block in sources.blocks["sshd"]) <= 2
    assert [int(message) for message in sources.messages("sshd")] == list(range(10_000))

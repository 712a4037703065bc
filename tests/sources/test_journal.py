"""JournalSource over a stand-in for journalctl: records in, lines out, whatever happens to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailbanned.clock import SystemClock
from mailbanned.model import Block
from mailbanned.sources import JournalSource
from tests.sources.rig import append, until

STAND_IN = Path(__file__).with_name("journalctl.py")


class Journal:
    """A journal in a file, and a source that follows it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()
        self.blocks: list[Block] = []
        self.written = 0
        self.command: tuple[str, ...] = (sys.executable, "-S", str(STAND_IN), str(path))
        self.source = self._source({})

    def _source(self, mark: Mapping[str, str]) -> JournalSource:
        return JournalSource(
            "sshd",
            ["sshd.service"],
            clock=SystemClock(),
            mark=mark,
            since=1_700_000_000.9,
            command=self.command,
        )

    def write(self, message: object, at: float | None = None, **fields: object) -> None:
        """Adds a record by root's sshd-session; fields override."""
        self.written += 1
        record: dict[str, object] = {
            "__CURSOR": f"s=abc;i={self.written}",
            "__REALTIME_TIMESTAMP": str(int((time.time() if at is None else at) * 1e6)),
            "_HOSTNAME": "mx",
            "_UID": "0",
            "_PID": "77",
            "SYSLOG_IDENTIFIER": "sshd-session",
            "MESSAGE": message,
        }
        append(self.path, (json.dumps(record | fields) + "\n").encode())

    def tell(self, order: str) -> None:
        """Adds an order to the stand-in."""
        append(self.path, f"{order}\n".encode())

    async def _emit(self, block: Block) -> None:
        self.blocks.append(block)

    @contextlib.asynccontextmanager
    async def followed(self, mark: Mapping[str, str] | None = None) -> AsyncIterator[None]:
        """Runs the source, from a mark if one is given."""
        self.source = self._source(mark or {})
        task = asyncio.create_task(self.source.run(self._emit))
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def messages(self) -> list[bytes]:
        """What was emitted, without time, host and tag."""
        data = b"".join(block.data for block in self.blocks)
        return [line.partition(b"]: ")[2] for line in data.splitlines()]

    def starts(self) -> list[list[str]]:
        """The options of each run of the stand-in, its process id first."""
        path = self.path.with_suffix(".starts")
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


async def test_records_become_lines(journal: Journal) -> None:
    """Old records are caught up with, new ones are live, and what is at hand is one block."""
    for number in range(3):
        journal.write(f"old {number}", at=1_777_610_588.123456)
    async with journal.followed():
        await until(lambda: len(journal.messages()) == 3)
        first = b"2026-05-01T04:43:08.123456+00:00 mx sshd-session[77]: old 0\n"
        assert journal.blocks[0].data.startswith(first)
        assert [block.live for block in journal.blocks] == [False]
        journal.write("new")
        await until(lambda: len(journal.messages()) == 4)
        block = journal.blocks[-1]
        assert (block.source, block.live, block.marks) == ("sshd", True, {"journal": "s=abc;i=4"})
        assert abs(block.arrived - time.time()) < 5
        state = journal.source.state()
        assert (state.kind, state.paths, state.lines) == ("journal", ("sshd.service",), 4)


async def test_how_journalctl_is_called(journal: Journal) -> None:
    """The first run begins at `since`; a later one right after the mark's cursor."""
    async with journal.followed():
        await until(lambda: len(journal.starts()) == 1)
    async with journal.followed({"journal": "s=abc;i=9"}):
        await until(lambda: len(journal.starts()) == 2)
    async with journal.followed({"journal": "--vacuum-size=1"}):
        await until(lambda: len(journal.starts()) == 3)
    (_, *first), (_, *second), (_, *third) = journal.starts()
    assert "--since=@1700000000" in first
    assert "--after-cursor=s=abc;i=9" in second
    assert first == third
    assert first[-4:] == [
        "SYSLOG_IDENTIFIER=sshd",
        "SYSLOG_IDENTIFIER=sshd-session",
        "SYSLOG_IDENTIFIER=sshd-auth",
        "_UID=0",
    ]


async def test_what_is_not_believed_is_left_out(journal: Journal) -> None:
    """A forged or broken record yields no line and stops nothing."""
    async with journal.followed():
        journal.write("forged", _UID="1000")
        journal.tell("no JSON")
        journal.tell("[]")
        journal.write(None)
        journal.write("true")
        await until(lambda: journal.messages() == [b"true"])


async def test_a_huge_record_is_left_out(journal: Journal) -> None:
    """A record beyond a megabyte is skipped; those around it are not."""
    async with journal.followed():
        journal.write("before")
        journal.write("x" * 3_000_000)
        journal.write("after")
        await until(lambda: journal.messages() == [b"before", b"after"])


async def test_journalctl_is_started_again(journal: Journal) -> None:
    """When journalctl ends, it is told once with its last words, and goes on after its cursor."""
    with capture_logs() as said:
        async with journal.followed():
            journal.write("one")
            await until(lambda: journal.messages() == [b"one"])
            journal.write("two")
            journal.tell("!exit 3 broken journal")
            journal.tell("!exit 3 broken journal")
            journal.write("three")
            await until(lambda: journal.source.state().state == "down")
            assert "broken journal" in journal.source.state().detail
            await until(lambda: journal.messages() == [b"one", b"two", b"three"])
            await until(lambda: journal.source.state().state == "following")
            assert len(journal.starts()) == 3
    assert [(entry["log_level"], "broken" in entry["event"]) for entry in said] == [
        ("warning", True),
        ("info", False),
    ]


async def test_a_missing_journalctl_is_told_once(journal: Journal, tmp_path: Path) -> None:
    """Without journalctl the source is down and says so once; when it is there, it follows."""
    script = tmp_path / "bin"
    command, journal.command = journal.command, (str(script),)
    with capture_logs() as said:
        async with journal.followed():
            await until(lambda: journal.source.state().state == "down")
            assert str(script) in journal.source.state().detail
            journal.write("one")
            (tmp_path / "new").write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
            (tmp_path / "new").chmod(0o755)
            (tmp_path / "new").rename(script)
            await until(lambda: journal.messages() == [b"one"])
            await until(lambda: journal.source.state().state == "following")
    assert [entry["log_level"] for entry in said] == ["warning", "info"]


@pytest.mark.parametrize("deaf", [False, True])
async def test_journalctl_ends_with_the_source(journal: Journal, deaf: bool) -> None:
    """When the source is stopped, its journalctl is gone, even one that ignores SIGTERM."""
    async with journal.followed():
        if deaf:
            journal.tell("!deaf")
        journal.write("one")
        await until(lambda: journal.messages() == [b"one"])
        (pid, *_) = journal.starts()[0]
        os.kill(int(pid), 0)
        begun = time.monotonic()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert (time.monotonic() - begun < 2) is not deaf


async def test_back_pressure_reaches_journalctl(journal: Journal) -> None:
    """While nobody takes blocks, little is read ahead; afterwards every record comes once."""
    gate = asyncio.Event()
    blocks: list[Block] = []

    async def emit(block: Block) -> None:
        await gate.wait()
        blocks.append(block)

    for number in range(10_000):
        journal.write(str(number))
    task = asyncio.create_task(journal.source.run(emit))
    await until(lambda: journal.source.state().lines > 0)
    await asyncio.sleep(0.1)
    assert journal.source.state().lines < 1000
    gate.set()
    await until(lambda: journal.source.state().lines == 10_000)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    lines = b"".join(block.data for block in blocks).splitlines()
    assert [int(line.rpartition(b" ")[2]) for line in lines] == list(range(10_000))

"""JournalSource with the real journalctl on the journal of a real journald."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from mailbanned.clock import SystemClock
from mailbanned.model import Block
from mailbanned.sources import JournalSource
from tests.real.journald import Journald
from tests.sources.rig import until

pytestmark = pytest.mark.real


@pytest.fixture
def journald() -> Iterator[Journald]:
    try:
        journald = Journald()
    except FileNotFoundError as error:
        if "CI" in os.environ:
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield journald
    journald.stop()


class Reader:
    """A source on that journal, and the messages it emitted."""

    def __init__(self, journald: Journald) -> None:
        self.blocks: list[Block] = []
        self._journald = journald

    def messages(self) -> list[str]:
        data = b"".join(block.data for block in self.blocks)
        return [line.partition(b"]: ")[2].decode() for line in data.splitlines()]

    @contextlib.asynccontextmanager
    async def following(self, mark: Mapping[str, str]) -> AsyncIterator[JournalSource]:
        clock = SystemClock()
        source = JournalSource(
            "sshd",
            ["sshd.service"],
            clock=clock,
            mark=mark,
            since=clock.now() - 60,
            command=self._journald.journalctl,
        )
        task = asyncio.create_task(source.run(self._emit))
        try:
            yield source
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def _emit(self, block: Block) -> None:
        self.blocks.append(block)


async def test_sshd_is_followed_and_nobody_else(journald: Journald) -> None:
    """Lines of sshd and its helpers come at once; forged ones and other programs' never do."""
    reader = Reader(journald)
    for number in range(20):
        journald.log("sshd", f"old {number}")
    async with reader.following({}):
        await until(lambda: reader.messages() == [f"old {number}" for number in range(20)])
        journald.log("sshd-session", "forged", by_root=False)
        journald.log("postfix", "another program")
        journald.log("sshd-session", "Invalid user x\ty from 192.0.2.1 port 22")
        journald.log("sshd-auth", "last")
        await until(lambda: "last" in reader.messages())
    new = ["Invalid user x\ty from 192.0.2.1 port 22", "last"]
    assert reader.messages()[20:] == new
    assert reader.blocks[-1].live
    assert not reader.blocks[0].live


async def test_nothing_is_lost_or_repeated(journald: Journald) -> None:
    """Through rotation, vacuuming, a killed journalctl and a restart every line comes once."""
    reader = Reader(journald)
    async with reader.following({}) as source:
        journald.log("sshd", "one")
        await until(lambda: reader.messages() == ["one"])
        journald.rotate()
        journald.log("sshd", "two")
        await until(lambda: reader.messages() == ["one", "two"])
        journald.vacuum()
        journald.log("sshd", "three")
        await until(lambda: reader.messages() == ["one", "two", "three"])
        for pid in _children("journalctl"):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: source.state().state == "down")
        journald.log("sshd", "four")
        await until(lambda: reader.messages() == ["one", "two", "three", "four"])
    journald.log("sshd", "five")
    async with reader.following(reader.blocks[-1].marks):
        await until(lambda: len(reader.messages()) == 5)
    assert reader.messages() == ["one", "two", "three", "four", "five"]


def _children(name: str) -> list[int]:
    """Processes of this name that this process started."""
    tasks = Path("/proc/self/task").glob("*/children")
    pids = [int(pid) for task in tasks for pid in task.read_text().split()]
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text().strip() == name]

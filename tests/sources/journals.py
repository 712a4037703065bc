"""A journal in a file with a stand-in for journalctl, and sources that read it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

from mailbanned.clock import Clock, SystemClock
from mailbanned.model import Block
from mailbanned.sources import Journalctl, JournalSource
from mailbanned.sources.journal.reader import Limits
from tests.sources.rig import append
from tests.waiting import until

STAND_IN = Path(__file__).with_name("journalctl.py")

Marks = Mapping[str, str]


class Sources:
    """Journal sources, each in a task of its own, over one Journalctl.

    blocks: what was emitted, by source. gates: by source; while cleared, it is held up at its
    next block. held: those that are. sources: those at work. quiet_s: as JournalSource has it.
    root, limits: as Journalctl has them.
    """

    def __init__(
        self,
        command: Sequence[str],
        clock: Clock | None = None,
        root: Path | None = None,
        limits: Limits = Limits(),  # noqa: B008 - it is immutable
    ) -> None:
        self.blocks: dict[str, list[Block]] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.held: set[str] = set()
        self.sources: dict[str, JournalSource] = {}
        self._command = command
        self.since = 1_700_000_000.9
        self.quiet_s = 3600.0
        self._clock = clock or SystemClock()
        self._journalctl = Journalctl(self._clock, command, root, limits)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, *entries: str, marks: Marks | None = None) -> JournalSource:
        """Starts a source at its marks: by default, those of its last block."""
        self.blocks.setdefault(name, [])
        self.gates[name] = asyncio.Event()
        self.gates[name].set()
        source = self.sources[name] = JournalSource(
            name,
            entries,
            clock=self._clock,
            journalctl=self._journalctl,
            cursors=self.marks(name) if marks is None else marks,
            since=self.since,
            quiet_s=self.quiet_s,
        )
        self._tasks[name] = asyncio.create_task(source.run(self._emit))
        return source

    async def stop(self, name: str) -> None:
        """Ends a source."""
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    async def _emit(self, block: Block) -> None:
        if not self.gates[block.source].is_set():
            self.held.add(block.source)
        await self.gates[block.source].wait()
        self.held.discard(block.source)
        self.blocks[block.source].append(block)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Runs the journalctl; at the end it and all sources are stopped at the same time."""
        self._tasks["journalctl"] = asyncio.create_task(self._journalctl.run())
        try:
            yield
        finally:
            tasks, self._tasks = self._tasks, {}
            for task in tasks.values():
                task.cancel()
            await asyncio.wait(tasks.values())
            assert all(task.cancelled() for task in tasks.values())

    def marks(self, name: str) -> Marks:
        """Where a source would resume."""
        return self.blocks[name][-1].marks if self.blocks[name] else {}

    async def stuck(self, held: str, entries: Sequence[str], total: int) -> None:
        """Returns when a source is held up, and another run has read all that these entries have.

        Whatever reads on meanwhile has had the time for it.
        """
        await until(lambda: held in self.held, f"{held} is held up")
        other = Sources(self._command)
        other.start("other", *entries)
        async with other.reading():
            await until(lambda: len(other.messages("other")) >= total, "another has read all")

    def messages(self, name: str) -> list[str]:
        """What a source emitted, without time, host and tag."""
        data = b"".join(block.data for block in self.blocks[name])
        return [line.partition(b"]: ")[2].decode() for line in data.splitlines()]


class Journal:
    """A journal in a file. command: how to call the stand-in that shows it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()
        self.written = 0
        self.command: tuple[str, ...] = (sys.executable, "-S", str(STAND_IN), str(path))

    def write(self, message: object, at: float | None = None, **fields: object) -> None:
        """Adds a record by root's sshd-session; fields override."""
        append(self.path, self._record(message, at, fields))

    def write_all(self, messages: Iterable[object]) -> None:
        """Adds such records at once."""
        append(self.path, b"".join(self._record(message, None, {}) for message in messages))

    def _record(self, message: object, at: float | None, fields: Mapping[str, object]) -> bytes:
        self.written += 1
        record: dict[str, object] = {
            "__CURSOR": f"s=abc;i={self.written:x}",
            "__REALTIME_TIMESTAMP": str(int((time.time() if at is None else at) * 1e6)),
            "_HOSTNAME": "mx",
            "_UID": "0",
            "_PID": "77",
            "SYSLOG_IDENTIFIER": "sshd-session",
            "MESSAGE": message,
        }
        return (json.dumps({**record, **fields}) + "\n").encode()

    def postfix(self, message: object, at: float | None = None, **fields: object) -> None:
        """Adds a record by Postfix."""
        unit = {"SYSLOG_IDENTIFIER": "postfix/smtpd", "_SYSTEMD_UNIT": "postfix.service"}
        self.write(message, at, **(unit | fields))

    def tell(self, order: str) -> None:
        """Adds an order to the stand-in."""
        append(self.path, f"{order}\n".encode())

    def vacuum(self, first: int) -> None:
        """Deletes all records before number `first`."""
        lines = self.path.read_bytes().splitlines(keepends=True)
        self.path.write_bytes(b"".join(lines[first - 1 :]))

    def questions(self) -> int:
        """How often a run of the stand-in was to show what there is, and no more."""
        return sum("--follow" not in start for start in self.starts())

    def starts(self) -> list[list[str]]:
        """The options of each run of the stand-in, its process id first."""
        path = self.path.with_suffix(".starts")
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

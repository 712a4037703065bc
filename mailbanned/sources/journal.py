"""Follows systemd units in the journal, through one journalctl that is kept running.

journalctl knows the journal's files, their rotation and their vacuuming; each record has a cursor
after which it goes on when it is started again. What it says on stderr when it ends is logged once.

Known limits. The lag behind the journal is not known. A record of more than a megabyte is left out.
When journald itself stands still, nothing tells that from a quiet unit.
"""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from itertools import groupby

from mailbanned.clock import Clock
from mailbanned.log import get_logger
from mailbanned.model import Block
from mailbanned.sources.base import Emit, SourceState, State
from mailbanned.sources.lines import cut
from mailbanned.sources.records import Record, matches, parse, unit_name

log = get_logger("sources")

_CHUNK_BYTES = 64 * 1024
_MAX_RECORD = 1024 * 1024
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.2, 10.0
_END_S = 2.0
#: How long after an old record the source still counts as catching up. Seconds.
_SETTLE_S = 1.0
_CURSOR = re.compile(r"[0-9a-z]+=[0-9a-z]+(;[0-9a-z]+=[0-9a-z]+)*")


class JournalSource:
    """The journal of some units, as one source.

    units: such as "sshd.service"; see records.py for what is believed of each.
    mark: {"journal": cursor} of the last Block that was handled, from the last run; {} at first.
    since: where to begin without a mark (epoch).
    command: how to call journalctl.
    """

    def __init__(
        self,
        name: str,
        units: Sequence[str],
        *,
        clock: Clock,
        mark: Mapping[str, str],
        since: float,
        command: Sequence[str] = ("journalctl",),
    ) -> None:
        self.name = name
        self._units = tuple(units)
        self._clock = clock
        cursor = mark.get("journal", "")
        self._cursor = cursor if _CURSOR.fullmatch(cursor) else None
        self._since = since
        self._command = tuple(command)
        self._began = clock.now()
        self._trouble: str | None = None
        self._said: str | None = None
        self._old_at: float | None = None
        self._lines = 0
        self._last_line_at: float | None = None

    async def run(self, emit: Emit) -> None:
        """Follows until cancelled; journalctl is started again whenever it ends."""
        self._began = self._clock.now()
        pause = _FIRST_PAUSE_S
        while True:
            cursor = self._cursor
            reason = await self._follow(emit)
            self._complain(reason)
            pause = _FIRST_PAUSE_S if cursor != self._cursor else min(2 * pause, _LAST_PAUSE_S)
            await asyncio.sleep(pause)

    async def _follow(self, emit: Emit) -> str:
        """Runs one journalctl to its end and returns why it ended."""
        arguments = [*self._command, "--output=json", "--all", "--follow", "--no-tail"]
        arguments += ["--no-pager", "--quiet"]
        start = f"--since=@{int(self._since)}"
        arguments += [f"--after-cursor={self._cursor}" if self._cursor else start]
        try:
            child = await asyncio.create_subprocess_exec(
                *arguments, *matches(self._units), stdin=DEVNULL, stdout=PIPE, stderr=PIPE
            )
        except OSError as error:
            return f"{self._command[0]} cannot be started ({error.strerror or error})"
        self._trouble = None
        try:
            assert child.stdout is not None
            assert child.stderr is not None
            async with asyncio.TaskGroup() as tasks:
                last_words = tasks.create_task(_last_line(child.stderr))
                await self._read(child.stdout, emit)
            return f"{self._command[0]} ended with {await child.wait()} ({last_words.result()})"
        finally:
            await _end(child)

    async def _read(self, stdout: asyncio.StreamReader, emit: Emit) -> None:
        """Emits records as they come, until there are no more."""
        rest, inside = b"", False
        while chunk := await stdout.read(_CHUNK_BYTES):
            arrived, ticks = self._clock.now(), self._clock.ticks()
            data = rest + chunk
            lines, end, inside = cut(data, 0, inside, _MAX_RECORD)
            rest = data[end:]
            parsed = (parse(line, self._units) for line in lines.split(b"\n") if line)
            records = [record for record in parsed if record is not None]
            if records:
                self._recovered()
            for live, group in groupby(records, key=lambda record: record.at >= self._began):
                await self._emit(list(group), arrived, ticks, live, emit)

    async def _emit(
        self, records: list[Record], arrived: float, ticks: float, live: bool, emit: Emit
    ) -> None:
        self._cursor = records[-1].cursor
        if not live:
            self._old_at = ticks
        lines = [record.line for record in records if record.line is not None]
        if lines:
            self._lines += len(lines)
            self._last_line_at = arrived
            marks = {"journal": self._cursor}
            await emit(Block(self.name, b"".join(lines), arrived, ticks, live, marks))

    def _complain(self, reason: str) -> None:
        self._trouble = f"{reason}; it is started again. See whether {self._command[0]} works here"
        if reason != self._said:
            self._said = reason
            log.warning(self._trouble, source=self.name)

    def _recovered(self) -> None:
        if self._said is not None:
            log.info("The journal is read again", source=self.name)
        self._said = None

    def state(self) -> SourceState:
        """How it is doing right now."""
        state: State = "following"
        if self._trouble is not None:
            state = "down"
        elif self._old_at is not None and self._clock.ticks() - self._old_at < _SETTLE_S:
            state = "catching-up"
        return SourceState(
            name=self.name,
            kind="journal",
            paths=tuple(map(unit_name, self._units)),
            state=state,
            detail=self._trouble or "",
            lines=self._lines,
            last_line_at=self._last_line_at,
            lag_bytes=0,
        )


async def _last_line(stream: asyncio.StreamReader) -> str:
    """The last line of what a program says, read to its end in bounded memory."""
    said = b""
    while chunk := await stream.read(4096):
        said = (said + chunk)[-4096:]
    lines = said.strip().splitlines()
    return lines[-1].decode("utf-8", "replace")[:300] if lines else "it said nothing"


async def _end(child: Process) -> None:
    """Sees a child out: asked first, then made to. What it still says is thrown away."""
    if child.returncode is None:
        child.terminate()
    try:
        async with asyncio.timeout(_END_S):
            await _see_out(child)
    except TimeoutError:
        child.kill()
        await _see_out(child)


async def _see_out(child: Process) -> None:
    for stream in (child.stdout, child.stderr):
        while stream is not None and await stream.read(_CHUNK_BYTES):
            pass
    await child.wait()

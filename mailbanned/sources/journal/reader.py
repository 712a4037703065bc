"""Runs one journalctl for all journal sources, and starts it again whenever it ends.

journalctl knows the journal's files, their rotation and their vacuuming. It is asked for the
records of all sources at once, from the oldest of their places on, and each source takes its share
(shares.py). When a source comes or goes, journalctl is started anew. What it says on stderr when
it ends is logged once.

Known limits. There is one pipe: while one source's taker waits, the others wait, too. A record of
more than a megabyte is left out. When journald itself stands still, nothing tells that from quiet
services. (A unit whose records are there and do not come is told of, see silence.py.)
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

from mailbanned.clock import Clock
from mailbanned.log import get_logger
from mailbanned.logformat.messages import split_lines
from mailbanned.sources.journal.entry import (
    JournalCursor,
    JournalEntry,
    match_arguments,
    output_fields,
    parse_entry,
)
from mailbanned.sources.journal.subscription import JournalSubscription
from mailbanned.sources.journal.wakeup import JournalWakeup

log = get_logger("sources")

_CHUNK_BYTES = 64 * 1024
_MAX_RECORD = 1024 * 1024
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.2, 10.0
_END_S = 2.0
_ROOT = Path("/")
_ASK_S = 30.0


class Outage(NamedTuple):
    """journalctl does not run: since when (ticks), and why and what to do, in one sentence."""

    since: float
    text: str


class Journalctl:
    """The one reader of the journal, at work while `run` runs.

    command: how it is called. root: the file system in which it runs, None if that cannot be seen.
    outage: what is wrong, None while journalctl runs.
    """

    def __init__(
        self, clock: Clock, command: Sequence[str] = ("journalctl",), root: Path | None = _ROOT
    ) -> None:
        self.outage: Outage | None = None
        self._clock = clock
        self._command = tuple(command)
        self._root = root
        self._subscriptions: list[JournalSubscription] = []
        self._changed = asyncio.Event()
        self._has_delivered = False
        self._said: str | None = None

    @contextlib.contextmanager
    def subscribe(self, places: Mapping[str, JournalCursor]) -> Iterator[JournalSubscription]:
        """A share of the journal for the time of the `with`: entries, each from its place on."""
        share = JournalSubscription(places)
        self._subscriptions.append(share)
        self._changed.set()
        try:
            yield share
        finally:
            self._subscriptions.remove(share)
            self._changed.set()

    def restart(self) -> None:
        """Exchanges the journalctl that reads; nothing is lost or repeated by that."""
        self._changed.set()

    async def query_recent(self, entries: Sequence[str], since: int) -> list[JournalEntry]:
        """Some records of these entries since a time (epoch), without their messages.

        They come from a journalctl of its own. There are none if it is too slow or fails.
        """
        options = ("--output=json", "--lines=10", "--no-pager", "--quiet", f"--since=@{since}")
        named = ",".join(name for name in output_fields(entries) if name != "MESSAGE")
        arguments = (*options, f"--output-fields={named}", *match_arguments(entries))
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
            )
        except OSError:
            return []
        try:
            async with asyncio.timeout(_ASK_S):
                said, _ = await child.communicate()
        except TimeoutError:
            return []
        finally:
            await _terminate(child)
        return [record for record in map(parse_entry, said.splitlines()) if record is not None]

    async def run(self) -> None:
        """Reads until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                reading = tasks.create_task(self._keep_reading()) if self._subscriptions else None
                await self._changed.wait()
                if reading is not None:
                    reading.cancel()
                    await asyncio.wait([reading])

    async def _keep_reading(self) -> None:
        """Reads for the shares that there are now; journalctl is started again when it ends."""
        pause = _FIRST_PAUSE_S
        while self._subscriptions:  # the last one may be gone before this begins
            self._has_delivered = False
            self._complain(await self._run_child())
            pause = _FIRST_PAUSE_S if self._has_delivered else min(2 * pause, _LAST_PAUSE_S)
            await asyncio.sleep(pause)

    async def _run_child(self) -> str:
        """Runs one journalctl to its end and returns why it ended."""
        shares = tuple(self._subscriptions)
        with JournalWakeup(self._root) as nudge:
            try:
                child = await asyncio.create_subprocess_exec(
                    *self._command, *nudge.options, *_arguments(shares),
                    stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
                )  # fmt: skip
            except OSError as error:
                return f"{self._command[0]} cannot be started ({error.strerror or error})"
            self.outage = None
            try:
                said = await self._read_child(child, shares, nudge)
                return f"{self._command[0]} ended with {await child.wait()} ({said})"
            finally:
                await _terminate(child)

    async def _read_child(
        self, child: Process, shares: Sequence[JournalSubscription], nudge: JournalWakeup
    ) -> str:
        """Reads what a journalctl says, to its end; returns the last line of its complaints."""
        assert child.stdout is not None
        assert child.stderr is not None
        async with asyncio.TaskGroup() as tasks:
            last_words = tasks.create_task(_last_line(child.stderr))
            waking = tasks.create_task(self._wake(nudge))
            await self._read(child.stdout, shares)
            waking.cancel()
        return last_words.result()

    async def _wake(self, nudge: JournalWakeup) -> None:
        """Wakes journalctl until cancelled; exchanges it when that can no longer be done."""
        try:
            await nudge.run()
        except OSError as error:
            log.info("journalctl is started again, with another directory", reason=str(error))
            self.restart()

    async def _read(
        self, stdout: asyncio.StreamReader, shares: Sequence[JournalSubscription]
    ) -> None:
        """Hands records over as they come, until there are no more."""
        for share in shares:
            share.rewind()
        rest, inside = b"", False
        while chunk := await stdout.read(_CHUNK_BYTES):
            arrived, ticks = self._clock.now(), self._clock.monotonic()
            data = rest + chunk
            lines, end, inside = split_lines(data, 0, inside, _MAX_RECORD)
            rest = data[end:]
            parsed = (parse_entry(line) for line in lines.split(b"\n") if line)
            records = [record for record in parsed if record is not None]
            for share in shares:
                if await share.deliver(records, arrived, ticks):
                    self._recovered()

    def _complain(self, reason: str) -> None:
        text = f"{reason}; it is started again. See whether {self._command[0]} works here"
        since = self.outage.since if self.outage else self._clock.monotonic()
        self.outage = Outage(since, text)
        if reason != self._said:
            self._said = reason
            log.warning(text)

    def _recovered(self) -> None:
        self._has_delivered = True
        if self._said is not None:
            log.info("The journal is read again")
        self._said = None


def _arguments(shares: Sequence[JournalSubscription]) -> list[str]:
    places = [place for share in shares for place in share.cursors.values()]
    entries = [entry for share in shares for entry in share.cursors]
    oldest = reduce(lambda one, other: one if other.is_after(one) else other, places)
    moment = f"--since=@{oldest.at_us // 1_000_000}"
    return [
        *("--output=json", "--all", "--follow", "--no-tail", "--no-pager", "--quiet"),
        f"--output-fields={','.join(output_fields(entries))}",
        # Not --after-cursor: where that record is gone, it leaves out the next one instead.
        f"--cursor={oldest.name}" if oldest.name else moment,
        *match_arguments(entries),
    ]


async def _last_line(stream: asyncio.StreamReader) -> str:
    """The last line of what a program says, read to its end in bounded memory."""
    said = b""
    while chunk := await stream.read(4096):
        said = (said + chunk)[-4096:]
    lines = said.strip().splitlines()
    return lines[-1].decode("utf-8", "replace")[:300] if lines else "it said nothing"


async def _terminate(child: Process) -> None:
    """Sees a child out: asked first, then made to. What it still says is thrown away."""
    if child.returncode is None:
        child.terminate()
    with contextlib.suppress(TimeoutError):
        try:
            async with asyncio.timeout(_END_S):
                await _reap(child)
        finally:  # too slow, or we are in more of a hurry now
            if child.returncode is None:
                child.kill()
                await _reap(child)


async def _reap(child: Process) -> None:
    for stream in (child.stdout, child.stderr):
        while stream is not None and await stream.read(_CHUNK_BYTES):
            pass
    await child.wait()

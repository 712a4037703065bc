"""Runs one journalctl for all journal sources, and restarts it whenever it ends.

journalctl knows the journal's files, their rotation and their vacuuming. It is asked for the
entries of all sources at once, from the oldest of their cursors on, and each subscription takes its
own (subscription.py). When a source starts or stops, journalctl is restarted. The last line of its
stderr is logged once when it ends.

Known limits. There is one pipe: while one source waits for its consumer, the others wait, too. An
entry of more than a megabyte is left out. A journald that hangs cannot be told from quiet services.
(Entries that exist and do not arrive are detected, see missed.py.)
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import NamedTuple

from mailbanned.clock import Clock
from mailbanned.log import Condition, get_logger
from mailbanned.logformat.messages import split_lines
from mailbanned.sources.journal.entry import (
    JournalCursor,
    JournalEntry,
    match_arguments,
    output_fields,
    parse_entry,
)
from mailbanned.sources.journal.subscription import MAX_SKIPPED, JournalSubscription
from mailbanned.sources.journal.wakeup import POLL_S, JournalWakeup

_log = get_logger("sources")

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.2, 10.0
_ROOT = Path("/")
#: How long a query may take.
_QUERY_S = 30.0


class Outage(NamedTuple):
    """journalctl does not run.

    since: on the monotonic clock. text: why, and what to do, in one sentence.
    """

    since: float
    text: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read at once, and how long is waited.

    chunk_bytes: how much is read from journalctl at once.
    entry_bytes: longer entries (as JSON) are left out.
    max_skipped: as JournalSubscription has it.
    poll_s: how often journal files are polled for new entries.
    end_s: how long a journalctl may take to end before it is killed.
    """

    chunk_bytes: int = 64 * 1024
    entry_bytes: int = 1024 * 1024
    max_skipped: int = MAX_SKIPPED
    poll_s: float = POLL_S
    end_s: float = 2.0


class Journalctl:
    """The one reader of the journal, which reads while `run` runs.

    command: how it is called.
    root: the root of the file system in which it runs, None if that cannot be seen.
    outage: what is wrong, None while journalctl runs.
    """

    def __init__(
        self,
        clock: Clock,
        command: Sequence[str] = ("journalctl",),
        root: Path | None = _ROOT,
        limits: Limits = Limits(),
    ) -> None:
        self.outage: Outage | None = None
        self._clock = clock
        self._command = tuple(command)
        self._root = root
        self._limits = limits
        self._subscriptions: list[JournalSubscription] = []
        self._changed = asyncio.Event()
        self._has_delivered = False
        self._condition = Condition(_log)

    @contextlib.contextmanager
    def subscribe(self, cursors: Mapping[str, JournalCursor]) -> Iterator[JournalSubscription]:
        """Subscribes to some selectors, each from its cursor on, while the `with` lasts."""
        subscription = JournalSubscription(cursors, self._limits.max_skipped)
        self._subscriptions.append(subscription)
        self._changed.set()
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            self._changed.set()

    def restart(self) -> None:
        """Replaces the journalctl that reads; no entry is lost or repeated by that."""
        self._changed.set()

    async def query_recent(self, selectors: Sequence[str], since: int) -> list[JournalEntry]:
        """The last entries of these selectors since a time (epoch), without their messages.

        They come from a journalctl of its own. [] if it fails or is too slow.
        """
        options = ("--output=json", "--lines=10", "--no-pager", "--quiet", f"--since=@{since}")
        fields = ",".join(name for name in output_fields(selectors) if name != "MESSAGE")
        arguments = (*options, f"--output-fields={fields}", *match_arguments(selectors))
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
            )
        except OSError:
            return []
        try:
            async with asyncio.timeout(_QUERY_S):
                output, _ = await child.communicate()
        except TimeoutError:
            return []
        finally:
            await self._terminate(child)
        return [entry for entry in map(parse_entry, output.splitlines()) if entry is not None]

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
        """Reads for the present subscriptions, and restarts journalctl when it ends."""
        pause = _FIRST_PAUSE_S
        while self._subscriptions:  # the last one may be gone before this begins
            self._has_delivered = False
            self._on_end(await self._run_child())
            pause = _FIRST_PAUSE_S if self._has_delivered else min(2 * pause, _LAST_PAUSE_S)
            await asyncio.sleep(pause)

    async def _run_child(self) -> str:
        """Runs one journalctl to its end and returns why it ended."""
        subscriptions = tuple(self._subscriptions)
        with JournalWakeup(self._root, self._limits.poll_s) as wakeup:
            try:
                child = await asyncio.create_subprocess_exec(
                    *self._command,
                    *wakeup.options,
                    *_arguments(subscriptions),
                    stdin=DEVNULL,
                    stdout=PIPE,
                    stderr=PIPE,
                )
            except OSError as error:
                return f"{self._command[0]} cannot be started ({error.strerror or error})"
            self.outage = None
            try:
                complaint = await self._read_child(child, subscriptions, wakeup)
                return f"{self._command[0]} ended with {await child.wait()} ({complaint})"
            finally:
                await self._terminate(child)

    async def _read_child(
        self, child: Process, subscriptions: Sequence[JournalSubscription], wakeup: JournalWakeup
    ) -> str:
        """Reads the output of a journalctl to its end; returns the last line of its stderr."""
        assert child.stdout is not None
        assert child.stderr is not None
        async with asyncio.TaskGroup() as tasks:
            complaint = tasks.create_task(_last_line(child.stderr))
            waking = tasks.create_task(self._wake(wakeup))
            await self._deliver(child.stdout, subscriptions)
            waking.cancel()
        return complaint.result()

    async def _wake(self, wakeup: JournalWakeup) -> None:
        """Wakes journalctl until cancelled; replaces it when that is no longer possible."""
        try:
            await wakeup.run()
        except OSError as error:
            _log.info("restarting journalctl with another directory", reason=str(error))
            self.restart()

    async def _deliver(
        self, stdout: asyncio.StreamReader, subscriptions: Sequence[JournalSubscription]
    ) -> None:
        """Delivers entries to the subscriptions until the stream ends."""
        for subscription in subscriptions:
            subscription.rewind()
        rest, skipping = b"", False
        while chunk := await stdout.read(self._limits.chunk_bytes):
            arrived, monotonic = self._clock.now(), self._clock.monotonic()
            data = rest + chunk
            lines, end, skipping = split_lines(data, 0, skipping, self._limits.entry_bytes)
            rest = data[end:]
            parsed = (parse_entry(line) for line in lines.split(b"\n") if line)
            entries = [entry for entry in parsed if entry is not None]
            for subscription in subscriptions:
                if await subscription.deliver(entries, arrived, monotonic):
                    self._has_delivered = True
                    self._condition.clear("reading the journal again")

    def _on_end(self, reason: str) -> None:
        text = f"{reason}; restarting it; check whether {self._command[0]} works here"
        since = self.outage.since if self.outage else self._clock.monotonic()
        self.outage = Outage(since, text)
        self._condition.report(text)

    async def _terminate(self, child: Process) -> None:
        """Ends a child: SIGTERM first, SIGKILL if that takes too long or we are cancelled."""
        if child.returncode is None:
            child.terminate()
        with contextlib.suppress(TimeoutError):
            try:
                async with asyncio.timeout(self._limits.end_s):
                    await self._reap(child)
            finally:
                if child.returncode is None:
                    child.kill()
                    await self._reap(child)

    async def _reap(self, child: Process) -> None:
        """Waits for the end of a child; its output is thrown away."""
        for stream in (child.stdout, child.stderr):
            while stream is not None and await stream.read(self._limits.chunk_bytes):
                pass
        await child.wait()


def _arguments(subscriptions: Sequence[JournalSubscription]) -> list[str]:
    cursors = [cursor for subscription in subscriptions for cursor in subscription.cursors.values()]
    selectors = [selector for subscription in subscriptions for selector in subscription.cursors]
    oldest = reduce(lambda cursor, other: cursor if other.is_after(cursor) else other, cursors)
    since = f"--since=@{oldest.at_us // 1_000_000}"
    return [
        *("--output=json", "--all", "--follow", "--no-tail", "--no-pager", "--quiet"),
        f"--output-fields={','.join(output_fields(selectors))}",
        # Not --after-cursor: where that entry is gone, it leaves out the next one instead.
        f"--cursor={oldest.name}" if oldest.name else since,
        *match_arguments(selectors),
    ]


async def _last_line(stream: asyncio.StreamReader) -> str:
    """The last line of a stream, which is read to its end in bounded memory."""
    tail = b""
    while chunk := await stream.read(4096):
        tail = (tail + chunk)[-4096:]
    lines = tail.strip().splitlines()
    return lines[-1].decode("utf-8", "replace")[:300] if lines else "no message"

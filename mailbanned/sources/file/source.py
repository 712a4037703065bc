"""Follows log files by a path or glob: through rotation, truncation, absence and restarts.

    wake-up -> rescan (which files are there?) -> read (a chunk of each, in turn) -> Block

Files are identified by how they begin, not by name: rotation.py plans which ones are read.

Known limits. Lines that copytruncate cuts off between its copy and its truncation are lost, as its
manual says; so is what is truncated without a copy before it was read. A log that was never read
has no checkpoint, so what was rotated away from it earlier is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mailbanned.clock import Clock
from mailbanned.model import Block
from mailbanned.sources.base import Emit, SourceState, State
from mailbanned.sources.file.checkpoint import checkpoint_of
from mailbanned.sources.file.fileset import FileSet
from mailbanned.sources.file.rawfile import finish_if_cancelled
from mailbanned.sources.file.reader import AHEAD, CHUNK_BYTES, Rewritten
from mailbanned.sources.file.start_offset import LineAge
from mailbanned.sources.file.tracked import FileEvent, TrackedFile
from mailbanned.sources.file.watcher import LOOK_S, Subscription, Watcher
from mailbanned.sources.health import FormatWatch

#: How soon to rescan while files are being renamed. Seconds.
_SOON_S = 0.05


class FileSource:
    """The files that a glob matches, now and later, as one source.

    checkpoints: the checkpoints of the last Block that was handled, from the last run, as stored;
        {} at first.
    line_age: judges where to start in a log that has no checkpoint.
    chunk_bytes: how much of a file is read before it is the turn of the next one; more than the
        longest line.
    """

    def __init__(
        self,
        name: str,
        path_glob: str,
        *,
        clock: Clock,
        watcher: Watcher,
        checkpoints: Mapping[str, str],
        line_age: LineAge,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.name = name
        self._clock = clock
        self._watcher = watcher
        self._files = FileSet(path_glob, clock, checkpoints, line_age, name, chunk_bytes)
        self._line_age = line_age
        self._format_watches: dict[str, FormatWatch] = {}
        self._next_rescan = 0.0
        self._lines = 0
        self._last_line_at: float | None = None

    @staticmethod
    def owns_checkpoint(path_glob: str, text: str) -> bool:
        """Whether a stored checkpoint is of a file that the glob may match."""
        return checkpoint_of(path_glob, text) is not None

    async def run(self, emit: Emit) -> None:
        """Follows until cancelled and hands on every whole line exactly once."""
        with self._watcher.subscribe() as changes:
            try:
                await self._follow(changes, emit)
            finally:
                closing = map(self._files.close, list(self._files.open.values()))
                await finish_if_cancelled(asyncio.gather(*closing))

    async def _follow(self, changes: Subscription, emit: Emit) -> None:
        names_changed = True
        while True:
            if names_changed or self._clock.monotonic() >= self._next_rescan:
                changes.watch(await self._files.rescan())
                self._watch_formats()
                pause = LOOK_S if self._files.is_settled else _SOON_S
                self._next_rescan = self._clock.monotonic() + pause
            if await self._read_each(emit):
                names_changed = False
            else:
                pause = max(0.0, self._next_rescan - self._clock.monotonic())
                names_changed = await changes.wait(pause)

    def _watch_formats(self) -> None:
        """Watches the format of the log at each path that has an open file, and of no other."""
        has_timestamp = self._line_age.has_timestamp
        paths = {file.path for file in self._files.open.values()}
        self._format_watches = {
            path: self._format_watches.get(path, FormatWatch(has_timestamp)) for path in paths
        }

    async def _read_each(self, emit: Emit) -> bool:
        """Reads a chunk of every file, so that none starves another. True if some have more."""
        has_more = False
        for file in list(self._files.open.values()):
            try:
                has_more |= await self._read(file, emit)
            except Rewritten:
                self._files.on_truncated(file)
                self._next_rescan, has_more = 0.0, True
            except OSError as error:
                await self._files.on_error(file, error)
        return has_more

    async def _read(self, file: TrackedFile, emit: Emit) -> bool:
        """Reads and emits a chunk of a file. True if it has more."""
        arrived, monotonic = self._clock.now(), self._clock.monotonic()
        tail = file.tail
        if not self._files.may_be_read(file):
            return False
        is_first_read = not tail.positioned
        if is_first_read:
            await self._files.set_start(file)
        if not tail.has_more():
            file.advance(FileEvent.CAUGHT_UP)
            file.caught_up_at = file.caught_up_at if tail.partial_bytes else monotonic
            return False
        had_read, offset = tail.has_read, tail.offset
        # Bounds what is read ahead of all files together.
        data = await tail.read(max(1, AHEAD // len(self._files.open)))
        if not had_read and not self._files.is_still_next(file, tail.first_bytes):
            self._next_rescan = 0.0  # what was read is dropped; it is read again when replanned
            return True
        was_live = file.is_live
        if tail.at_end:
            file.advance(FileEvent.CAUGHT_UP)
            if not tail.partial_bytes:
                file.caught_up_at = monotonic
        has_grown = tail.has_partial_message or tail.offset > offset
        self._check_format(file, data, has_grown, monotonic)
        if data:
            self._lines += data.count(b"\n")
            self._last_line_at = file.last_line_at = arrived
        if data or is_first_read:  # the start is a checkpoint, with lines or without
            checkpoints = self._files.checkpoints()
            await emit(Block(self.name, data, arrived, monotonic, was_live, checkpoints))
        if data:
            file.last_data_at = self._clock.monotonic()
        return not tail.at_end

    def _check_format(self, file: TrackedFile, lines: bytes, grown: bool, monotonic: float) -> None:
        """Reports a file that has no complete lines, or none with a time stamp, any more."""
        problem = self._format_watches[file.path].check(str(file), lines, grown, monotonic)
        if problem is None:
            self._files.health.clear(str(file))
        else:
            self._files.health.report(str(file), problem)

    def state(self) -> SourceState:
        """The present state, for `status`."""
        monotonic, health = self._clock.monotonic(), self._files.health
        tracked = list(self._files.open.values())
        paths = tuple(sorted(file.path for file in tracked if not file.is_rotated))
        states = [file.path_state(monotonic) for file in tracked] + health.states()
        problem = health.worst()
        state: State = "following" if all(file.is_live for file in tracked) else "catching-up"
        if not paths or (problem is not None and problem.state == "unreadable"):
            state = "waiting" if problem is None else problem.state
        return SourceState(
            name=self.name,
            kind="file",
            paths=paths,
            state=state,
            detail="" if problem is None else problem.text,
            lines=self._lines,
            last_line_at=self._last_line_at,
            lag_bytes=sum(path_state.lag_bytes for path_state in states),
            lag_s=max((path_state.lag_s for path_state in states), default=0.0),
            files=tuple(states),
        )

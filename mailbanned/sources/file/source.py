"""Follows log files by a path or glob: through rotation, truncation, absence and restarts.

    wake-up -> look (which files are there?) -> read (a chunk of each, in turn) -> Block

Files are told apart by how they begin, not by name: rotation.py says which ones are read.

Known limits. Lines that copytruncate cuts off between its copy and its truncation are lost, as
it says itself; so is what is cut off without a copy before it was read. A log that was never read
before has no position, so what was rotated away from it earlier is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mailbanned.clock import Clock
from mailbanned.log import get_logger
from mailbanned.model import Block
from mailbanned.sources.base import Emit, SourceState, State
from mailbanned.sources.file.checkpoint import checkpoint_of
from mailbanned.sources.file.fileset import FileSet
from mailbanned.sources.file.rawfile import finish_if_cancelled
from mailbanned.sources.file.reader import AHEAD, CHUNK_BYTES, Rewritten
from mailbanned.sources.file.start import LineAge
from mailbanned.sources.file.tracked import TrackedFile
from mailbanned.sources.file.watcher import LOOK_S, Subscription, Watcher
from mailbanned.sources.health import FormatWatch

log = get_logger("sources")

#: How soon to look again while files are being renamed.
_SOON_S = 0.05


class FileSource:
    """The files that a glob matches, now and later, as one source.

    marks: the marks of the last Block that was handled, from the last run; {} at the first.
    line_age: whether a line is too old to count (None: it has no time stamp); tells where to begin
        in a log that has no mark.
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
        self._hearing: dict[str, FormatWatch] = {}
        self._next_look = 0.0
        self._lines = 0
        self._last_line_at: float | None = None

    @staticmethod
    def owns_checkpoint(path_glob: str, mark: str) -> bool:
        """Whether a mark is of one of the files that a glob may match."""
        return checkpoint_of(path_glob, mark) is not None

    async def run(self, emit: Emit) -> None:
        """Follows until cancelled and hands on every whole line exactly once."""
        with self._watcher.subscribe() as changes:
            try:
                await self._follow(changes, emit)
            finally:
                closing = map(self._files.close, list(self._files.open.values()))
                await finish_if_cancelled(asyncio.gather(*closing))

    async def _follow(self, changes: Subscription, emit: Emit) -> None:
        look = True
        while True:
            if look or self._clock.monotonic() >= self._next_look:
                changes.watch(await self._files.rescan())
                paths = {one.path for one in self._files.open.values()}
                self._hearing = {
                    p: self._hearing.get(p, FormatWatch(self._line_age.has_timestamp))
                    for p in paths
                }
                pause = LOOK_S if self._files.is_settled else _SOON_S
                self._next_look = self._clock.monotonic() + pause
            if await self._read_each(emit):
                look = False
            else:
                look = await changes.wait(max(0.0, self._next_look - self._clock.monotonic()))

    async def _read_each(self, emit: Emit) -> bool:
        """Reads a chunk of every file, so that none starves another. True: some have more."""
        more = False
        for file in list(self._files.open.values()):
            try:
                more |= await self._read(file, emit)
            except Rewritten:
                self._files.on_truncated(file)
                self._next_look, more = 0.0, True
            except OSError as error:
                await self._files.on_error(file, error)
        return more

    async def _read(self, file: TrackedFile, emit: Emit) -> bool:
        arrived, ticks = self._clock.now(), self._clock.monotonic()
        tail = file.tail
        if not self._files.may_be_read(file):
            return False
        seated = tail.positioned
        if not seated:
            await self._files.set_start(file)
        if not tail.has_more():
            file.live = True  # nothing was written before we came
            file.caught_up_at = file.caught_up_at if tail.partial_bytes else ticks
            return False
        begun, offset = tail.has_read, tail.offset
        # However many files there are, what is read ahead of all of them stays within bounds.
        data = await tail.read(max(1, AHEAD // len(self._files.open)))
        if not begun and not self._files.is_still_next(file, tail.first_bytes):
            tail.give_up_position()  # what was read of it is not handed on
            self._next_look = 0.0
            return True
        live, file.live = file.live, file.live or tail.at_end
        if tail.at_end and not tail.partial_bytes:
            file.caught_up_at = ticks
        self._hear(file, data, tail.has_partial_message or tail.offset > offset, ticks)
        if data:
            self._lines += data.count(b"\n")
            self._last_line_at = file.last_line_at = arrived
        if data or not seated:  # where reading began is to be remembered, lines or not
            await emit(Block(self.name, data, arrived, ticks, live, self._files.checkpoints()))
        if data:
            file.last_data_at = self._clock.monotonic()
        return not tail.at_end

    def _hear(self, file: TrackedFile, lines: bytes, grown: bool, ticks: float) -> None:
        """Tells if a file says nothing (any more) that can be understood."""
        trouble = self._hearing[file.path].check(str(file), lines, grown, ticks)
        if trouble is None:
            self._files.health.clear(str(file))
        else:
            self._files.health.report(str(file), trouble)

    def state(self) -> SourceState:
        """How it is doing right now."""
        ticks, troubles = self._clock.monotonic(), self._files.health
        followed = list(self._files.open.values())
        paths = tuple(sorted(one.path for one in followed if not one.rotated))
        files = [one.state(ticks) for one in followed] + troubles.states()
        trouble = troubles.worst()
        state: State = "following" if all(one.live for one in followed) else "catching-up"
        if not paths or (trouble is not None and trouble.state == "unreadable"):
            state = "waiting" if trouble is None else trouble.state
        return SourceState(
            name=self.name,
            kind="file",
            paths=paths,
            state=state,
            detail="" if trouble is None else trouble.text,
            lines=self._lines,
            last_line_at=self._last_line_at,
            lag_bytes=sum(file.lag_bytes for file in files),
            lag_s=max((file.lag_s for file in files), default=0.0),
            files=tuple(files),
        )

"""Follows log files by a path or glob: through rotation, truncation, absence and restarts.

    wake-up -> look (which files are there?) -> read (a chunk of each, in turn) -> Block

Files are told apart by what is in them, not by name: files.py says which ones are read, and
succession.py in which order.

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
from mailbanned.sources.away import mark_of
from mailbanned.sources.base import Emit, SourceState, State
from mailbanned.sources.files import Files
from mailbanned.sources.followed import Followed
from mailbanned.sources.hearing import Hearing
from mailbanned.sources.raw import to_its_end
from mailbanned.sources.start import TooOld
from mailbanned.sources.tail import AHEAD, Rewritten
from mailbanned.sources.watcher import Subscription, Watcher

log = get_logger("sources")

#: How often to look without being woken: some file systems send no events. Seconds.
LOOK_S = 2.0
#: How soon to look again while files are being renamed.
_SOON_S = 0.05


class FileSource:
    """The files that a glob matches, now and later, as one source.

    marks: the marks of the last Block that was handled, from the last run; {} at the first.
    too_old: whether a line is too old to count (None: it has no time stamp); tells where to begin
        in a log that has no mark.
    """

    def __init__(
        self,
        name: str,
        path_glob: str,
        *,
        clock: Clock,
        watcher: Watcher,
        marks: Mapping[str, str],
        too_old: TooOld,
    ) -> None:
        self.name = name
        self._clock = clock
        self._watcher = watcher
        self._files = Files(path_glob, clock, marks, too_old, source=name)
        self._too_old = too_old
        self._hearing: dict[str, Hearing] = {}
        self._next_look = 0.0
        self._lines = 0
        self._last_line_at: float | None = None

    @staticmethod
    def resumes_at(path_glob: str, mark: str) -> bool:
        """Whether a mark is of one of the files that a glob may match."""
        return mark_of(path_glob, mark) is not None

    async def run(self, emit: Emit) -> None:
        """Follows until cancelled and hands on every whole line exactly once."""
        with self._watcher.subscribe() as changes:
            try:
                await self._follow(changes, emit)
            finally:
                closing = map(self._files.let_go, list(self._files.open.values()))
                await to_its_end(asyncio.gather(*closing))

    async def _follow(self, changes: Subscription, emit: Emit) -> None:
        look = True
        while True:
            if look or self._clock.ticks() >= self._next_look:
                changes.watch(await self._files.look())
                paths = {one.path for one in self._files.open.values()}
                self._hearing = {p: self._hearing.get(p, Hearing(self._too_old)) for p in paths}
                pause = LOOK_S if self._files.settled else _SOON_S
                self._next_look = self._clock.ticks() + pause
            if await self._read_each(emit):
                look = False
            else:
                look = await changes.wait(max(0.0, self._next_look - self._clock.ticks()))

    async def _read_each(self, emit: Emit) -> bool:
        """Reads a chunk of every file, so that none starves another. True: some have more."""
        more = False
        for one in list(self._files.open.values()):
            try:
                more |= await self._read(one, emit)
            except Rewritten:
                self._files.begin_anew(one)
                self._next_look, more = 0.0, True
            except OSError as error:
                await self._files.failed(one, error)
        return more

    async def _read(self, one: Followed, emit: Emit) -> bool:
        arrived, ticks = self._clock.now(), self._clock.ticks()
        tail = one.tail
        if not self._files.may_be_read(one):
            return False
        seated = tail.seated
        if not seated:
            await self._files.seat(one)
        if not tail.has_more():
            one.live = True  # nothing was written before we came
            one.even = one.even if tail.rest else ticks
            return False
        begun = tail.offset
        # However many files there are, what is read ahead of all of them stays within bounds.
        data = await tail.read(max(1, AHEAD // len(self._files.open)))
        if not begun and not self._files.is_next(one):
            tail.unseat()  # what was read of it is not handed on
            self._next_look = 0.0
            return True
        live, one.live = one.live, one.live or tail.at_end
        if tail.at_end and not tail.rest:
            one.even = ticks
        self._hear(one, data, tail.unfinished or tail.offset > begun, ticks)
        if data:
            self._files.moved(one)
            self._lines += data.count(b"\n")
            self._last_line_at = one.last_line_at = arrived
        if data or not seated:  # where reading began is to be remembered, lines or not
            await emit(Block(self.name, data, arrived, ticks, live, self._files.marks()))
        if data:
            one.stirred = self._clock.ticks()
        return not tail.at_end

    def _hear(self, one: Followed, lines: bytes, grown: bool, ticks: float) -> None:
        """Tells if a file says nothing (any more) that can be understood."""
        trouble = self._hearing[one.path].trouble(str(one), lines, grown, ticks)
        if trouble is None:
            self._files.troubles.solved(str(one))
        else:
            self._files.troubles.add(str(one), trouble)

    def state(self) -> SourceState:
        """How it is doing right now."""
        ticks, troubles = self._clock.ticks(), self._files.troubles
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

"""Which files a file source has open: found, rotated away, lost and found again.

A look compares what the path leads to with what is open. A file that the path no longer leads to
is rotated. Its successor waits until it is read to its end, and it is held until it has been
quiet for a while, because servers go on writing into a renamed log until they are reloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from mailbanned.clock import Clock
from mailbanned.log import get_logger
from mailbanned.sources.marks import Identity, Mark
from mailbanned.sources.start import TooOld, first_recent
from mailbanned.sources.survey import Survey, siblings, survey
from mailbanned.sources.tail import Tail
from mailbanned.sources.troubles import Troubles, unreadable

log = get_logger("sources")

#: How long a rotated file has to be quiet before it is let go. Seconds.
LINGER_S = 10.0
#: How many marks of absent files are kept, in case they come back.
_MAX_AWAY = 64
#: A file that appears is new if it was written to after the look before, give or take this.
_SLACK_S = 2.0


@dataclass(eq=False, slots=True)
class Followed:
    """An open file and what its source knows about it.

    path: where the log is expected; if `rotated`, that leads to another file or nowhere.
    found_after: the last look (epoch) before it was there; None if it was there from the start.
    stirred: when it last had lines, on the monotonic clock.
    after: files that stood at its path before; their lines come first.
    live: whether what is read now was written while we followed.
    broken: it could not be read; it is tried again at the next look.
    """

    tail: Tail
    path: str
    found_after: float | None
    stirred: float
    after: list[Followed] = field(default_factory=list)
    live: bool = False
    rotated: bool = False
    broken: bool = False

    def __str__(self) -> str:
        return f"{self.path} (rotated)" if self.rotated else self.path


class FollowedFiles:
    """The open files of one source, and the marks of those that are not open now."""

    def __init__(
        self, pattern: str, clock: Clock, marks: Mapping[str, str], too_old: TooOld, source: str
    ) -> None:
        self.troubles = Troubles(source)
        self.open: dict[Identity, Followed] = {}
        self._source = source
        self._pattern = pattern
        self._clock = clock
        self._too_old = too_old
        self._away = [
            mark
            for mark in map(Mark.parse, marks.values())
            if mark is not None and PurePath(mark.path).match(pattern)
        ][-_MAX_AWAY:]
        self._unread: dict[str, float | None] = {}
        self._looked_at: float | None = None

    def marks(self) -> dict[str, str]:
        """Where reading resumes, for every file that is, or may again be, followed."""
        seated = [one.tail.mark(one.path) for one in self.open.values() if one.tail.seated]
        return {mark.name: mark.text() for mark in self._away + seated}

    async def look(self) -> set[str]:
        """Finds new and rotated files; returns the directories in which changes would show."""
        found = survey(self._pattern)
        self._note(found)
        await self._reopen_broken()
        present = set(found.files.values())
        for mark in [mark for mark in self._away if mark.identity not in present]:
            await self._find_rotated(mark)
        for path, identity in found.files.items():
            if identity not in self.open:
                await self._add(path)
        for path, identity in found.files.items():
            if identity in self.open:
                self.open[identity].path = path
        for identity, one in list(self.open.items()):
            one.rotated = identity not in present
            if one.rotated and self._is_done(one, found):
                await self.let_go(one)
        self._looked_at = self._clock.now()
        return found.directories

    def _note(self, found: Survey) -> None:
        """Remembers since when files are there unread, and tells what stands in the way."""
        unread = {path for path, identity in found.files.items() if identity not in self.open}
        unread |= {p for p, trouble in found.troubles.items() if trouble.state == "unreadable"}
        self._unread = {path: self._unread.get(path, self._looked_at) for path in unread}
        for path, trouble in found.troubles.items():
            self.troubles.add(path, trouble)
        self.troubles.keep(found.troubles, found.files, map(str, self.open.values()))
        missing = not found.files and not found.troubles
        self.troubles.missing(self._pattern if missing else None, say=not self.open)

    async def _reopen_broken(self) -> None:
        """A failing file is opened again: its descriptor may be stale, as on NFS."""
        for one in [one for one in self.open.values() if one.broken]:
            one.broken = False
            if not one.rotated:
                await self.let_go(one)
                if one.tail.seated:
                    self._away.append(one.tail.mark(one.path))

    async def _find_rotated(self, mark: Mark) -> None:
        """Opens a file that was renamed while nobody followed it, to read the rest of it."""
        for path in siblings(mark.path, mark.inode):
            try:
                tail = await Tail.open(path)
            except OSError:
                continue
            found = False
            try:
                found = tail.identity not in self.open and await tail.resume(mark)
            except OSError:
                continue
            finally:
                if not found:
                    await tail.close()
            if found:
                log.debug(f"{path} was {mark.path}: its rest comes first", source=self._source)
                self._away.remove(mark)
                ticks = self._clock.ticks()
                self.open[tail.identity] = Followed(tail, mark.path, None, ticks, rotated=True)
                return

    async def _add(self, path: str) -> None:
        try:
            tail = await Tail.open(path)
        except FileNotFoundError:
            return
        except OSError as error:
            self.troubles.add(path, unreadable(path, error))
            return
        if tail.identity in self.open:
            await tail.close()
            return
        after = [one for one in self.open.values() if one.path == path]
        one = Followed(tail, path, self._unread.get(path), self._clock.ticks(), after)
        self.open[tail.identity] = one

    def may_be_read(self, one: Followed) -> bool:
        """False while it is broken, or while a file before it at its path still has lines."""
        one.after = [other for other in one.after if other.tail.identity in self.open]
        return not one.broken and not any(
            not other.broken and other.tail.has_more() for other in one.after
        )

    async def seat(self, one: Followed) -> None:
        """Finds out where to begin in a file, when its turn comes for the first time."""
        await self._seat(one)
        one.after = []
        self._unread.pop(one.path, None)
        self._away = [m for m in self._away if m.path != one.path or m.identity in self.open]
        offset = one.tail.mark(one.path).offset
        log.info(f"Following {one}", source=self._source, offset=offset, live=one.live)

    async def _seat(self, one: Followed) -> None:
        tail = one.tail
        for mark in self._away:
            ours = mark.path == one.path or mark.identity == tail.identity
            if ours and await tail.resume(mark):
                self._away.remove(mark)
                return
        for other in one.after:  # a copy of it was put in its place, as editors do
            if await tail.resume(other.tail.mark(one.path)):
                one.live = other.live
                await self.let_go(other)
                return
        status = tail.status()
        start = await first_recent(tail.read_at, status.st_size, self._too_old)
        await tail.seat(start)
        new = one.found_after is not None and status.st_mtime >= one.found_after - _SLACK_S
        one.live = new and start == 0

    def begin_anew(self, one: Followed) -> None:
        """The file was emptied or written anew: it is like one that has just appeared."""
        one.found_after = self._looked_at
        log.info(f"{one} was emptied or written anew", source=self._source)

    async def let_go(self, one: Followed) -> None:
        """Closes a file; it is no longer followed."""
        del self.open[one.tail.identity]
        await one.tail.close()

    def _is_done(self, one: Followed, found: Survey) -> bool:
        """Whether a rotated file is quiet, and another one in its place (or it is deleted)."""
        if self._clock.ticks() - one.stirred < LINGER_S:
            return False
        try:
            given_up = one.path in found.files or one.tail.status().st_nlink == 0
            return given_up and not one.tail.has_more()
        except OSError:
            return True

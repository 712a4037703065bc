"""Which files a file source has open: found, rotated away, lost and found again.

A look compares what the path leads to with what is open. A file that the path no longer leads to
is rotated. Its successors wait until it is read to its end, and it is held until it has been quiet
for a while.
"""

from __future__ import annotations

from collections.abc import Mapping

from mailbanned.clock import Clock
from mailbanned.log import get_logger
from mailbanned.sources.away import Away
from mailbanned.sources.followed import Followed
from mailbanned.sources.lineup import Standing, Unsettled
from mailbanned.sources.marks import Identity
from mailbanned.sources.rotated import Trace, rotated, traces
from mailbanned.sources.start import TooOld, first_recent
from mailbanned.sources.succession import succession
from mailbanned.sources.survey import Survey, survey
from mailbanned.sources.tail import Tail
from mailbanned.sources.troubles import Troubles, unreadable

log = get_logger("sources")


class Files:
    """The open files of one source, and the marks of those that are not open now.

    open: those of one path are in the order in which they stood there.
    settled: files were not being renamed at the last look; else the next look is due soon.
    """

    def __init__(
        self, pattern: str, clock: Clock, marks: Mapping[str, str], too_old: TooOld, source: str
    ) -> None:
        self.troubles = Troubles(source)
        self.open: dict[Identity, Followed] = {}
        self.settled = True
        self._source = source
        self._pattern = pattern
        self._clock = clock
        self._too_old = too_old
        self._away = Away(pattern, marks.values())
        self._unsought = self._away.paths()
        self._passed_over: set[Identity] = set()
        self._listed: dict[str, set[Trace]] = {}
        self._unread: dict[str, float | None] = {}
        self._looked_at: float | None = None

    def marks(self) -> dict[str, str]:
        """Where reading resumes, for every file that is, or may again be, followed."""
        marks = {mark.name: mark.text for mark in self._away.marks}
        for one in self.open.values():
            if one.tail.seated:
                mark = one.tail.mark(one.path)
                # The start of a file says little, compared to the position before it was emptied.
                if mark.offset or mark.name not in marks:
                    marks[mark.name] = mark.text
        return marks

    async def look(self) -> set[str]:
        """Finds new and rotated files; returns the directories in which changes would show."""
        known = {one.path for one in self.open.values()}
        found = survey(self._pattern, known | self._away.paths())
        self._note(found)
        await self._reopen_broken()
        for path, identity in found.files.items():
            if identity not in self.open:
                await self._open(path)
            if identity in self.open:
                self.open[identity].path = path
        present = set(found.files.values())
        for identity, one in self.open.items():
            one.rotated = identity not in present
        await self._place_all(found)
        for one in list(self.open.values()):
            if one.is_done(self._clock.ticks(), replaced=one.path in found.files):
                await self.let_go(one)
        self._away.trim()
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

    async def _open(self, path: str) -> None:
        try:
            tail = await Tail.open(path)
        except FileNotFoundError:
            return
        except OSError as error:
            self.troubles.add(path, unreadable(path, error))
            return
        if tail.identity in self.open:
            await tail.raw.close()
            return
        self.open[tail.identity] = self._new(tail, path, self._unread.pop(path, None))

    def _new(self, tail: Tail, path: str, found_after: float | None) -> Followed:
        ticks = self._clock.ticks()
        return Followed(tail, path, found_after, ticks, ticks)

    async def _place_all(self, found: Survey) -> None:
        """Finds the places of files that were opened, and what stood at their paths before."""
        paths = [one.path for one in self.open.values() if not one.placed]
        self.settled = True
        for path in {*paths, *self._unsought.difference(found.files)}:
            try:
                await self._place(path, found.files.get(path))
            except Unsettled:
                self.settled = False
            except OSError as error:
                self.troubles.add(path, unreadable(path, error))
                for one in list(self.open.values()):
                    if one.path == path and not one.placed:
                        await self.let_go(one)
        if self.settled:
            self._unsought = set()

    async def _place(self, path: str, now: Identity | None) -> None:
        """Puts the files of a path in their order, with those that were missing in between.

        Raises Unsettled. What nothing was read of is placed anew each time: since it was placed
        other files may have come before it.
        """
        mine = {i: one for i, one in self.open.items() if one.path == path}
        for one in mine.values():
            if not one.tail.offset or not one.placed:
                one.placed = False
                one.tail.unseat()
        standing = Standing(
            path,
            now=now if now in mine else None,
            fresh={i: one.tail for i, one in mine.items() if not one.placed},
            followed={i: one.tail for i, one in mine.items() if one.placed},
            marks=self._away.of(path, mine),
            elsewhere=self.open.keys() - mine.keys(),
        )
        found = await succession(standing)
        for file, error in found.failed:
            self._pass_over(file.path, file.identity, error)
        self._away.remove(found.resumed)
        self._listed[path] = found.listed
        live, before = any(one.live for one in mine.values()), None
        for tail in found.tails:
            opened = self.open.pop(tail.identity, None)
            self.open[tail.identity] = one = opened or self._new(tail, path, self._looked_at)
            if not one.placed:
                one.placed, one.whole, one.after = True, found.whole, before
                one.rotated = tail.identity != now
                if tail.seated:
                    self._settled_in(one, live)
            before = one
        for identity in found.copied:  # last, for if this is cancelled, the tails are known
            await self.let_go(mine[identity])

    def may_be_read(self, one: Followed) -> bool:
        """False while it is broken, or while a file before it at its path still has lines."""
        before = one.after
        if before is not None and before.tail.identity not in self.open:
            before = one.after = None
        held_up = before is not None and not before.broken and before.tail.has_more()
        return one.placed and not one.broken and not held_up

    def is_next(self, one: Followed) -> bool:
        """Whether the first lines of a file come next; else it is to be placed anew.

        That is so if files have come since: it may have been copied to one of them, and emptied.
        """
        now = {trace for trace in traces(rotated(one.path)) if trace[0] not in self.open}
        if one.tail.packed or now <= self._listed[one.path]:
            return True
        one.placed = False
        return False

    async def seat(self, one: Followed) -> None:
        """Finds out where to begin in a file, when its turn comes for the first time."""
        start = 0
        if not one.whole and not one.tail.packed:
            size = one.tail.raw.status().st_size
            start = await first_recent(one.tail.raw.read_at, size, self._too_old)
        await one.tail.seat(start)
        self._settled_in(one, live=one.live or (one.is_new() and start == 0))

    def _settled_in(self, one: Followed, live: bool) -> None:
        """A file has its position."""
        one.live = live
        mark = one.tail.mark(one.path)
        if mark.offset and mark.written:
            one.even -= max(0.0, self._clock.now() - mark.written / 1e9)
        self.moved(one)
        log.info(f"Following {one}", source=self._source, offset=mark.offset, live=live)

    def moved(self, one: Followed) -> None:
        """A position was found or went on: those before it at its path say nothing more."""
        if one.tail.offset and not one.begun:
            one.begun = True
            if not self._later(one):
                self._away.forget(one.path)

    def _later(self, one: Followed) -> list[Followed]:
        """The open files that stood at a path after one of them."""
        of_path = [other for other in self.open.values() if other.path == one.path]
        return of_path[of_path.index(one) + 1 :]

    def begin_anew(self, one: Followed) -> None:
        """A file was emptied or written anew; the next look finds the copy that has its end."""
        self._away.add(one.tail.mark(one.path))
        one.tail.unseat()
        one.placed = one.begun = False
        one.found_after = self._looked_at
        log.info(f"{one} was emptied or written anew", source=self._source)

    async def failed(self, one: Followed, error: OSError) -> None:
        """A file could not be read: it is tried again later, unless it is packed."""
        if one.tail.packed:
            self._pass_over(str(one), one.tail.identity, error)
            await self.let_go(one)
        else:
            one.broken = True
            self.troubles.add(str(one), unreadable(str(one), error))

    def _pass_over(self, name: str, identity: Identity, error: OSError) -> None:
        if identity not in self._passed_over:
            self._passed_over.add(identity)
            self.troubles.add(name, unreadable(name, error))

    async def let_go(self, one: Followed) -> None:
        """Closes a file. Its mark is kept until that of a file after it says more."""
        if one.begun and not any(other.begun for other in self._later(one)):
            self._away.add(one.tail.mark(one.path))
        del self.open[one.tail.identity]
        await one.tail.raw.close()

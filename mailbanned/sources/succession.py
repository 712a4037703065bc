"""What is to be read at a path, and in which order: up to where the files there were read already.

    read already ... [the last position] newer ... newer, the log that stands there now

A log may have been rotated more than once since it was last read: while the daemon was down, or
while it was held up. Positions are found again by content, since a rotated file may have been
renamed, copied or packed. From the last one on, all files are read in their order.

Known limits. When no position is found any more, the files that were written to after it was noted
are taken for unread. A file that cannot be opened or unpacked is told of and passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mailbanned.sources.lineup import Lineup, Standing, Unsettled
from mailbanned.sources.marks import TAIL_BYTES, Identity, Mark
from mailbanned.sources.rotated import Rotated, Trace, traces
from mailbanned.sources.tail import Tail

#: How much earlier than it was the time of the last change may be kept by a copy. Nanoseconds.
_SLACK_NS = 2_000_000_000


@dataclass(slots=True)
class Succession:
    """What is to be read at a path.

    tails: all files that are followed from now on, oldest first. Positions that were found are
        taken already.
    whole: the others are to be read from their first byte, since the file before them is known.
    resumed: the marks whose positions were found.
    copied: followed files of which one of the tails is a copy that goes on from their position.
    failed: files that had to be passed over, and why.
    listed: the rotated files that there were.
    """

    tails: list[Tail] = field(default_factory=list)
    whole: bool = False
    resumed: list[Mark] = field(default_factory=list)
    copied: set[Identity] = field(default_factory=set)
    failed: list[tuple[Rotated, OSError]] = field(default_factory=list)
    listed: set[Trace] = field(default_factory=set)


async def succession(standing: Standing) -> Succession:
    """Finds out what is to be read at a path. Raises Unsettled, and lets go of what it opened."""
    lineup = Lineup(standing)
    try:
        found = await _Search(standing, lineup).run()
        if not lineup.is_settled():
            raise Unsettled
        await lineup.close_all_but(found.tails)
    except BaseException:  # cancelled while closing, too: then nobody takes over the tails
        await lineup.close_all_but(())
        raise
    return found


class _Search:
    def __init__(self, standing: Standing, lineup: Lineup) -> None:
        self._standing = standing
        self._lineup = lineup
        self._found = Succession(listed=traces(lineup.files))
        self._resumed: set[Identity] = set()
        # The last position that was found: its place in the line, and when it was noted.
        self._last, self._last_written = -1, 0
        # When a position was noted that is found no more, if that is later.
        self._lost = 0

    async def run(self) -> Succession:
        """Goes through all positions, and then through all files."""
        await self._lineup.add_unlisted()
        log = await self._log()
        for tail in self._standing.followed.values():
            await self._find_followed(tail, log)
        for mark in sorted(self._standing.marks, key=lambda mark: mark.offset):
            await self._find(mark)
        self._found.whole = self._last >= 0
        for place, file in enumerate(self._lineup.files):
            if file.identity in self._standing.followed:
                if file.identity not in self._found.copied:
                    self._found.tails.append(self._standing.followed[file.identity])
            elif (
                file.identity in self._standing.fresh
                or file.identity in self._resumed
                or (self._is_newer(place, file) and await self._differs(file, log))
            ):
                await self._take(file)
        return self._found

    async def _log(self) -> Tail | None:
        """The log that stands there now, if nothing was read of it. Its beginning is noted."""
        now = self._standing.now
        log = None if now is None else self._standing.fresh.get(now)
        if log is not None:
            log.expect(await log.raw.read_at(0, TAIL_BYTES))
        return log

    async def _find_followed(self, tail: Tail, log: Tail | None) -> None:
        """Finds the place of a followed file, or of a copy of it that was put into its place."""
        identities = [file.identity for file in self._lineup.files]
        mark = tail.mark(self._standing.path)
        if log is not None and await log.resume(mark):
            self._found.copied.add(tail.identity)
            self._reach(identities.index(log.identity), mark)
        else:
            self._reach(identities.index(tail.identity), mark)

    async def _find(self, mark: Mark) -> None:
        """Finds the file that holds a position, which resumes there."""

        def likelihood(place: int) -> tuple[bool, bool, bool, int]:
            # A log may have been replaced by a copy of itself, so the log that stands there now
            # is asked first; unpacking is the last thing to try.
            file = self._lineup.files[place]
            is_other = file.identity != mark.identity
            is_log = file.identity == self._standing.now
            return not is_log, is_other, file.packed, abs(file.written - mark.written)

        for place in sorted(range(len(self._lineup.files)), key=likelihood):
            file = self._lineup.files[place]
            too_old = file.written < mark.written - _SLACK_NS and file.identity != mark.identity
            if not too_old and file.identity not in self._standing.followed:
                tail = await self._lineup.tail(file)
                if tail is not None and await self._resume(tail, mark):
                    self._resumed.add(file.identity)
                    self._found.resumed.append(mark)
                    self._reach(place, mark)
                    return
        self._lost = max(self._lost, mark.written)
        if mark.offset == 0:
            self._find_unread(mark)

    async def _resume(self, tail: Tail, mark: Mark) -> bool:
        try:
            return await tail.resume(mark)
        except OSError as error:
            self._lineup.failed[tail.identity] = error
            return False

    def _find_unread(self, mark: Mark) -> None:
        """Of an empty file there is no more than its inode, which is no proof for a copy."""
        for file in self._lineup.files:
            is_copy = file.packed or file.named is None or file.identity == self._standing.now
            if file.identity == mark.identity and not is_copy:
                self._resumed.add(file.identity)

    def _reach(self, place: int, mark: Mark) -> None:
        self._last, self._last_written = max(
            (self._last, self._last_written), (place, mark.written)
        )

    def _is_newer(self, place: int, file: Rotated) -> bool:
        """Whether a file came after all that was read, by its place and its time."""
        if file.named is None or place <= self._last:
            return False
        if self._lost > self._last_written:
            return file.written >= self._lost
        return self._found.whole

    async def _differs(self, file: Rotated, log: Tail | None) -> bool:
        """Whether a file holds more than the log, which may just be being copied into it."""
        tail = await self._lineup.tail(file)
        if tail is None or tail.packed:
            return True
        size = tail.raw.status().st_size
        begin = max(0, size - TAIL_BYTES)
        end = await tail.raw.read_at(begin, size - begin)
        return size > 0 and (log is None or await log.raw.read_at(begin, size - begin) != end)

    async def _take(self, file: Rotated) -> None:
        """Adds a file that is to be read. One in which a position may be, or not, is not."""
        tail = await self._lineup.tail(file)
        failed = self._lineup.failed.get(file.identity)
        unclear = not self._found.whole and file.identity not in self._standing.fresh
        if tail is not None and not (failed and unclear):
            self._found.tails.append(tail)
        elif failed is not None:
            self._found.failed.append((file, failed))

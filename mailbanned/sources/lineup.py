"""The files that stood at a path, in a line from the oldest to the log that stands there now.

Files that are open stay in the line, even those that were deleted or packed meanwhile: they stand
for what was made of them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mailbanned.sources.marks import TAIL_BYTES, Identity, Mark
from mailbanned.sources.raw import to_its_end
from mailbanned.sources.rotated import Rotated, rotated
from mailbanned.sources.tail import Tail


class Unsettled(Exception):
    """Files were renamed while we looked, so nothing is known; look again."""


@dataclass(slots=True)
class Standing:
    """What is known of a path.

    path: where the log is expected.
    now: which file stands there, None if there is none that is open.
    fresh: open files of this path of which nothing was read yet, and whose place is not known.
    followed: open files of it whose place is known.
    marks: positions in files that are not open.
    elsewhere: open files that are logs of other paths.
    """

    path: str
    now: Identity | None
    fresh: Mapping[Identity, Tail]
    followed: Mapping[Identity, Tail]
    marks: Collection[Mark]
    elsewhere: Collection[Identity] = ()


class Lineup:
    """The line, and the files in it that were opened to look at them.

    files: oldest first; the log that stands there now is the last one.
    failed: what could not be opened, and why.
    """

    def __init__(self, standing: Standing) -> None:
        self.files = self._list(standing)
        self.failed: dict[Identity, OSError] = {}
        self._standing = standing
        self._names = [(file.path, file.identity) for file in self.files]
        self._opened: dict[Identity, Tail | None] = {}

    @staticmethod
    def _list(standing: Standing) -> list[Rotated]:
        files = rotated(standing.path, {mark.inode for mark in standing.marks})
        left_out = {*standing.elsewhere, standing.now}
        files = [file for file in files if file.identity not in left_out]
        if standing.now is not None:
            files.append(_now(standing.path))
            if files[-1].identity != standing.now:
                raise Unsettled
        return files

    def is_settled(self) -> bool:
        """Whether every file still has the name under which it was found."""
        return self._names == [(file.path, file.identity) for file in self._list(self._standing)]

    async def add_unlisted(self) -> None:
        """Puts open files that are no longer listed into their places."""
        listed = {file.identity for file in self.files}
        for identity, tail in [*self._standing.followed.items(), *self._standing.fresh.items()]:
            if identity not in listed:
                written = tail.raw.status().st_mtime_ns
                one = Rotated(self._standing.path, identity, tail.packed, ("", ""), written)
                place = await self._same(tail)
                if place is not None:
                    self.files[place] = one
                else:
                    now = self._standing.now
                    older = [f for f in self.files if f.written <= written and f.identity != now]
                    self.files.insert(len(older), one)

    async def _same(self, tail: Tail) -> int | None:
        """Where what was made of a deleted file stands; not where it is a log again."""
        head = await tail.raw.read_at(0, TAIL_BYTES)
        for place, file in enumerate(self.files):
            if head and not self._is_open(file) and await self._head(file, len(head)) == head:
                return place
        return None

    def _is_open(self, file: Rotated) -> bool:
        return file.identity in self._standing.fresh or file.identity in self._standing.followed

    async def _head(self, file: Rotated, size: int) -> bytes:
        tail = await self.tail(file)
        try:
            return b"" if tail is None else await tail.raw.read_at(0, size)
        except OSError as error:
            self.failed[file.identity] = error
            return b""

    async def tail(self, file: Rotated) -> Tail | None:
        """A file that is not followed yet, opened; None if that fails."""
        identity = file.identity
        if identity in self._standing.fresh:
            return self._standing.fresh[identity]
        if identity not in self._opened:
            self._opened[identity] = None
            try:
                tail = await Tail.open(file.path, file.packed)
            except FileNotFoundError:
                raise Unsettled from None
            except OSError as error:
                self.failed[identity] = error
                return None
            self._opened[identity] = tail
            if tail.identity != identity:
                raise Unsettled
        return self._opened[identity]

    async def close_all_but(self, tails: Collection[Tail]) -> None:
        """Closes the files that were opened in vain."""
        vain = [tail for tail in self._opened.values() if tail is not None and tail not in tails]
        await to_its_end(asyncio.gather(*(tail.raw.close() for tail in vain)))


def _now(path: str) -> Rotated:
    """The file that a path leads to."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        raise Unsettled from None
    return Rotated(path, (status.st_dev, status.st_ino), False, ("", ""), status.st_mtime_ns)

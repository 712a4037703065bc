"""Marks of files that are not open now: not there at the moment, let go, or emptied."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import PurePath

from mailbanned.sources.marks import Identity, Mark

#: How many are kept, in case their files come back.
_MOST = 256


def mark_of(pattern: str, text: str) -> Mark | None:
    """The mark from its writing, if it is of a file that the pattern leads to."""
    mark = Mark.parse(text)
    return mark if mark is not None and PurePath(mark.path).match(pattern) else None


class Away:
    """The marks of a source's files that are not open; at first all those of the last run.

    texts: marks in writing; those of other paths than the pattern's are left out.
    """

    def __init__(self, pattern: str, texts: Iterable[str]) -> None:
        parsed = (mark_of(pattern, text) for text in texts)
        self.marks = [mark for mark in parsed if mark is not None]

    def paths(self) -> set[str]:
        """Where their files are expected."""
        return {mark.path for mark in self.marks}

    def of(self, path: str, files: Collection[Identity]) -> list[Mark]:
        """Those of a path, and those of some files, where these may have been before."""
        return [mark for mark in self.marks if mark.path == path or mark.identity in files]

    def add(self, mark: Mark) -> None:
        """Keeps a mark, if it says anything."""
        if mark.offset:
            self.marks.append(mark)

    def remove(self, marks: Collection[Mark]) -> None:
        """Their files are open again."""
        self.marks = [mark for mark in self.marks if mark not in marks]

    def forget(self, path: str) -> None:
        """The files of a path have been read beyond all of its marks."""
        self.marks = [mark for mark in self.marks if mark.path != path]

    def trim(self) -> None:
        """Forgets the oldest, once there are too many."""
        self.marks = sorted(self.marks, key=lambda mark: mark.written)[-_MOST:]

"""What journal sources have handed on, as the daemon takes it: lines and marks are saved together.

A kill forgets what was not saved; those lines have to come again, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailbanned.model import Block
from tests.simulation.journals import Journal, Record

_MARK = "journal "


class Handed:
    """The lines that came, and the marks that came with them.

    saved: numbers of the records that a restart remembers. taken: those that it does not yet.
    repeated: how many records came again.
    """

    def __init__(self, journal: Journal, fail: Callable[[str], None]) -> None:
        self.saved: set[int] = set()
        self.taken: set[int] = set()
        self.repeated = 0
        self._journal = journal
        self._fail = fail
        self._marks: dict[str, str] = {}
        self._saved_marks: dict[str, str] = {}
        self._last: dict[str, int] = {}
        self._saved_last: dict[str, int] = {}
        self._newest: dict[str, int] = {}

    def marks(self, entries: Iterable[str]) -> dict[str, str]:
        """Where a source of these entries resumes."""
        names = [_MARK + entry for entry in entries]
        return {name: self._marks[name] for name in names if name in self._marks}

    def begin(self, source: str) -> None:
        """A source starts; its records come in the order of the journal."""
        self._newest[source] = -1

    def take(self, block: Block, entries: Iterable[str]) -> None:
        """A block is handled: its lines count, and its marks with them."""
        if set(block.marks) != {_MARK + entry for entry in entries}:
            self._fail(f"the marks are not those of all entries: {sorted(block.marks)}")
        if block.data and not block.data.endswith(b"\n"):
            self._fail("a block ends within a line")
        for text in block.data.split(b"\n")[:-1]:
            record = self._journal.by_line.get(text)
            if record is None or record.entry not in entries:
                self._fail(f"a line came that is none of its own: {text[:100]!r}")
            else:
                self._take(record, block.source)
        self._marks.update(block.marks)

    def _take(self, record: Record, source: str) -> None:
        number, last = record.number, self._last.get(record.entry, -1)
        if number in self.saved or number in self.taken:
            self.repeated += 1
            self._fail(f"record {number} came again")
        elif number < max(last, self._newest[source]):
            self._fail(f"record {number} came after {max(last, self._newest[source])}")
        self._last[record.entry] = self._newest[source] = number
        self.taken.add(number)

    def has(self, record: Record) -> bool:
        """Whether it was handed on."""
        return record.number in self.saved or record.number in self.taken

    def save(self) -> None:
        """A restart will remember what was taken."""
        self.saved |= self.taken
        self.taken.clear()
        self._saved_marks = dict(self._marks)
        self._saved_last = dict(self._last)

    def forget(self) -> None:
        """What was taken and not saved is gone."""
        self.taken.clear()
        self._marks = dict(self._saved_marks)
        self._last = dict(self._saved_last)

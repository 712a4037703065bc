"""One source's part of the journal: which entries are its own, and up to where it has read.

All sources read one stream, and each has a cursor for every selector (a unit or a match), because
selectors come and go with the configuration. When the stream restarts, at the oldest cursor of all,
entries at or before a selector's cursor are skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailbanned.sources.journal.entry import (
    JournalCursor,
    JournalEntry,
    is_trusted,
    to_syslog_line,
)

#: After N entries of other sources, a batch without lines moves the cursors of a source on.
MAX_SKIPPED = 1000


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read yielded for a source.

    data: its lines; b"" if only its cursors have moved.
    span: the cursors of the first and the last line, None if there are none.
    arrived, read_monotonic: when they were read, as in a Block.
    cursors: where reading resumes after these lines, by selector.
    """

    data: bytes
    span: tuple[JournalCursor, JournalCursor] | None
    arrived: float
    read_monotonic: float
    cursors: Mapping[str, JournalCursor]


class JournalSubscription:
    """The entries of some selectors, delivered in batches.

    cursors: where reading resumes, by selector as selector_name() writes it.
    batches: holds at most one batch, until the source calls task_done().
    max_skipped: after how many new entries without a line the cursors are delivered alone.
    """

    def __init__(
        self, cursors: Mapping[str, JournalCursor], max_skipped: int = MAX_SKIPPED
    ) -> None:
        self.cursors = dict(cursors)
        self.batches: asyncio.Queue[Batch] = asyncio.Queue()
        self._max_skipped = max_skipped
        self._catching_up = set(self.cursors)
        self._skipped = 0

    def rewind(self) -> None:
        """Prepares for a stream that restarts at one of the cursors or before."""
        self._catching_up = set(self.cursors)

    async def deliver(
        self, entries: Iterable[JournalEntry], arrived: float, read_monotonic: float
    ) -> bool:
        """Queues the source's part of the next entries. True if at least one was new to it.

        Waits until the batch before is done, and changes nothing before that.
        """
        await self.batches.join()
        lines: list[bytes] = []
        taken: list[JournalCursor] = []
        skipped = self._skipped
        for entry in entries:
            selectors = self._advance(entry)
            self._skipped += bool(selectors)
            if any(is_trusted(entry, selector) for selector in selectors) and (
                text := to_syslog_line(entry)
            ):
                lines.append(text)
                taken.append(entry.cursor)
        has_moved = self._skipped > skipped
        if lines or self._skipped >= self._max_skipped:
            self._skipped = 0
            span = (taken[0], taken[-1]) if taken else None
            batch = Batch(b"".join(lines), span, arrived, read_monotonic, dict(self.cursors))
            self.batches.put_nowait(batch)
        return has_moved

    def _advance(self, entry: JournalEntry) -> list[str]:
        """Moves the cursors on to an entry; returns the selectors that it is new to."""
        new: list[str] = []
        for selector, cursor in self.cursors.items():
            if selector in self._catching_up:
                if entry.cursor == cursor or entry.cursor.is_after(cursor):
                    self._catching_up.discard(selector)
                if not entry.cursor.is_after(cursor):
                    continue
            self.cursors[selector] = entry.cursor
            new.append(selector)
        return new

"""A source's share of the journal: which records are its own, and up to where it has them.

All sources read one stream, each from its own places on: one for each of its entries (a unit or a
match), since entries come and go with the configuration and each remembers where it was. When the
stream begins anew, at the oldest place of all, what an entry has had already is passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailbanned.sources.journal.entry import JournalCursor, JournalEntry, is_trusted, to_syslog_line

#: After so many records of others, a source remembers that there was nothing for it.
_PASSED = 1000


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read brought a source.

    data: its lines; none if only its places have moved.
    span: the places of the first and the last of them, None if there are none.
    arrived, ticks: when they were read, as in a Block.
    cursors: where reading resumes after these lines, by entry.
    """

    data: bytes
    span: tuple[JournalCursor, JournalCursor] | None
    arrived: float
    read_monotonic: float
    cursors: Mapping[str, JournalCursor]


class JournalSubscription:
    """The records of some entries, handed over in batches.

    cursors: where to begin, by entry as entry_name() writes it.
    batches: holds one batch, until the source has said task_done().
    """

    def __init__(self, places: Mapping[str, JournalCursor]) -> None:
        self.cursors = dict(places)
        self.batches: asyncio.Queue[Batch] = asyncio.Queue()
        self._ahead = set(self.cursors)
        self._passed = 0

    def rewind(self) -> None:
        """The stream begins anew, at one of the places or before them."""
        self._ahead = set(self.cursors)

    async def deliver(self, records: Iterable[JournalEntry], arrived: float, ticks: float) -> bool:
        """Takes its part of the next records of the stream. True: at least one was new to it.

        Waits until the batch before is done with, and changes nothing before that.
        """
        await self.batches.join()
        lines: list[bytes] = []
        taken: list[JournalCursor] = []
        passed = self._passed
        for record in records:
            entries = self._new_to(record)
            self._passed += bool(entries)
            if any(is_trusted(record, entry) for entry in entries) and (
                text := to_syslog_line(record)
            ):
                lines.append(text)
                taken.append(record.cursor)
        moved = self._passed > passed
        if lines or self._passed >= _PASSED:
            self._passed = 0
            span = (taken[0], taken[-1]) if taken else None
            batch = Batch(b"".join(lines), span, arrived, ticks, dict(self.cursors))
            self.batches.put_nowait(batch)
        return moved

    def _new_to(self, record: JournalEntry) -> list[str]:
        """The entries that have not had the record yet; their places move on to it."""
        new: list[str] = []
        for entry, place in self.cursors.items():
            if entry in self._ahead:
                if record.cursor == place or record.cursor.is_after(place):
                    self._ahead.discard(entry)
                if not record.cursor.is_after(place):
                    continue
            self.cursors[entry] = record.cursor
            new.append(entry)
        return new

"""Detects journal entries that exist but do not arrive, and restarts journalctl.

A source that had lines and then none for hours queries the journal with a journalctl of its own. If
that finds newer entries, either the journalctl that reads for all sources hangs (it is restarted),
or a new release of the service logs under another name, so that its entries are not trusted any
more (see entry.py).

systemd is not asked whether the unit is active: an active unit may have nothing to log at night,
and entries that do not arrive are a fault whatever the state of their unit.

Known limits: lines from before the start of the daemon are not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from mailbanned.clock import Clock
from mailbanned.log import Condition, get_logger
from mailbanned.sources.journal.entry import (
    JournalCursor,
    JournalEntry,
    is_from_unit,
    is_trusted,
    unit_matches,
)
from mailbanned.sources.journal.reader import Journalctl

_log = get_logger("sources")

#: How long without a line before a source queries the journal. Seconds.
QUIET_S = 6 * 3600.0
#: Entries younger than this may still be in transit. Seconds.
_IN_TRANSIT_S = 60.0
#: How many times per quiet period the query is repeated.
_REPEATS = 6


class MissedEntryCheck:
    """Checks one source for missed entries while `run` runs."""

    def __init__(
        self, source: str, selectors: Collection[str], clock: Clock, journalctl: Journalctl
    ) -> None:
        self._source = source
        self._selectors = selectors
        self._clock = clock
        self._journalctl = journalctl
        self._condition = Condition(_log)
        self._cursor = JournalCursor(0)
        self._last_line_monotonic: float | None = None

    @property
    def text(self) -> str:
        """What is wrong and what to do about it; "" if nothing is."""
        return self._condition.text

    def on_line(self, cursor: JournalCursor, monotonic: float) -> None:
        """Records that a line was read from the entry at this cursor."""
        self._cursor, self._last_line_monotonic = cursor, monotonic
        self._condition.clear("receiving journal entries again", source=self._source)

    async def run(self, quiet_s: float) -> None:
        """Queries the journal after `quiet_s` without a line, and repeatedly from then on."""
        while True:
            since = self._last_line_monotonic
            since = self._clock.monotonic() if since is None else since
            left = since + quiet_s - self._clock.monotonic()
            if left <= 0:
                await self._check()
                left = quiet_s / _REPEATS
            await asyncio.sleep(left)

    async def _check(self) -> None:
        before = self._last_line_monotonic
        matches = [*self._selectors, *unit_matches(self._selectors)]
        recent = await self._journalctl.query_recent(matches, self._cursor.at_us // 1_000_000)
        if (
            not any(map(self._is_missed, recent))
            or self._last_line_monotonic != before
            or self._journalctl.outage is not None
        ):
            return
        self._journalctl.restart()
        self._condition.report(
            f"the journal has newer entries of {', '.join(self._selectors)} than were read; "
            "restarting journalctl; if this stays, the service logs in a way that is not "
            "recognised: compare with journalctl -o verbose",
            source=self._source,
        )

    def _is_missed(self, entry: JournalEntry) -> bool:
        """Whether the service itself wrote an entry after the last line that was read."""
        # Not by time alone: after a clock was set back, what was read before is newer.
        is_newer = entry.cursor.is_after(self._cursor)
        return (
            is_newer
            and entry.cursor.at_us / 1e6 < self._clock.now() - _IN_TRANSIT_S
            and (
                any(is_trusted(entry, selector) for selector in self._selectors)
                or any(is_from_unit(entry, unit) for unit in unit_matches(self._selectors))
            )
        )

"""Follows systemd units in the journal: one source's part of what the daemon's journalctl reads.

A selector of a source is a unit ("sshd.service", "sshd") or a match ("SYSLOG_IDENTIFIER=dovecot").
Each has a cursor of its own, so that selectors may move between sources without losing a line.

Known limits, besides those of reader.py: how far a source is behind the journal is only known from
the age of what it reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from mailbanned.clock import Clock
from mailbanned.model import Block
from mailbanned.sources.base import Emit, SourceState, State
from mailbanned.sources.journal.entry import JournalCursor, selector_name
from mailbanned.sources.journal.missed import QUIET_S, MissedEntryCheck
from mailbanned.sources.journal.reader import Journalctl
from mailbanned.sources.journal.subscription import Batch, JournalSubscription

#: How long an entry takes from journald to here at most, if the clock is right. Seconds.
_MAX_TRANSIT_S = 2.0
#: How long after old lines the source still counts as catching up. Seconds.
_SETTLE_S = 1.0
#: Precedes the selector in the name of a stored cursor.
_NAME_PREFIX = "journal "


class JournalSource:
    """The journal of some units, as one source.

    selectors: units and matches; see entry.py for which of their entries are trusted.
    cursors: the cursors of the last Block that was handled, from the last run, as stored; {} at
        first.
    since: where to begin without a cursor (epoch).
    quiet_s: after how long without a line the journal is checked for missed entries.
    """

    def __init__(
        self,
        name: str,
        selectors: Sequence[str],
        *,
        clock: Clock,
        journalctl: Journalctl,
        cursors: Mapping[str, str],
        since: float,
        quiet_s: float = QUIET_S,
    ) -> None:
        self.name = name
        self._clock = clock
        self._journalctl = journalctl
        self._cursors = {
            selector: JournalCursor.parse(cursors.get(_NAME_PREFIX + selector, ""))
            or JournalCursor(int(since * 1e6))
            for selector in map(selector_name, selectors)
        }
        self._quiet_s = quiet_s
        self._missed_entries = MissedEntryCheck(name, tuple(self._cursors), clock, journalctl)
        self._live_since = clock.now()
        self._is_live = False
        self._batch: Batch | None = None
        self._is_emitting = False
        self._lines = 0
        self._last_line_at: float | None = None

    @staticmethod
    def owns_cursor(selectors: Sequence[str], name: str) -> bool:
        """Whether the stored cursor of this name belongs to one of the selectors."""
        return name in {_NAME_PREFIX + selector_name(selector) for selector in selectors}

    async def run(self, emit: Emit) -> None:
        """Follows until cancelled and hands on every line exactly once."""
        async with asyncio.TaskGroup() as tasks:
            with self._journalctl.subscribe(self._cursors) as subscription:
                tasks.create_task(self._missed_entries.run(self._quiet_s))
                await self._follow(subscription, emit)

    async def _follow(self, subscription: JournalSubscription, emit: Emit) -> None:
        while True:
            await self._emit_batch(await subscription.batches.get(), emit)
            subscription.batches.task_done()

    async def _emit_batch(self, batch: Batch, emit: Emit) -> None:
        cursors = {_NAME_PREFIX + selector: c.text for selector, c in batch.cursors.items()}
        monotonic = batch.read_monotonic
        if batch.span is not None:
            first, last = batch.span
            written_at = first.at_us / 1e6
            # Once live it stays so, whatever happens to the clock.
            self._is_live = self._is_live or written_at >= self._live_since
            self._batch, self._is_emitting = batch, True
            self._lines += batch.data.count(b"\n")
            self._last_line_at = batch.arrived
            self._missed_entries.on_line(last, monotonic)
            # The time in the journal counts as reaction time; a clock that was set does not.
            monotonic -= min(max(0.0, batch.arrived - written_at), _MAX_TRANSIT_S)
        await emit(Block(self.name, batch.data, batch.arrived, monotonic, self._is_live, cursors))
        self._is_emitting = False

    def state(self) -> SourceState:
        """The present state, for `status`."""
        monotonic, outage = self._clock.monotonic(), self._journalctl.outage
        state: State = "following"
        lag = self._lag_s(monotonic)
        if outage is not None:
            state, lag = "down", max(lag, monotonic - outage.since)
        elif lag and not self._is_live:
            state = "catching-up"
        return SourceState(
            name=self.name,
            kind="journal",
            paths=tuple(self._cursors),
            state=state,
            detail=self._missed_entries.text if outage is None else outage.text,
            lines=self._lines,
            last_line_at=self._last_line_at,
            lag_bytes=0,
            lag_s=lag,
        )

    def _lag_s(self, monotonic: float) -> float:
        """The age of the batch that is being emitted, or was just emitted; 0 if there is none."""
        batch = self._batch
        if batch is None or batch.span is None:
            return 0.0
        elapsed = monotonic - batch.read_monotonic
        if not self._is_emitting and elapsed >= _SETTLE_S:
            return 0.0
        age = max(0.0, batch.arrived - batch.span[1].at_us / 1e6)
        return age + (elapsed if self._is_emitting else 0.0)

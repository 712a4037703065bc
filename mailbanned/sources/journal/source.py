"""Follows systemd units in the journal: its share of what the daemon's one journalctl reads.

An entry of a source is a unit ("sshd.service", "sshd") or a match ("SYSLOG_IDENTIFIER=dovecot").
Each has a mark of its own, so that entries may change places between sources and lose nothing.

Known limits, besides journalctl.py's: how far behind the journal a source is, is known only from
the age of what it reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from mailbanned.clock import Clock
from mailbanned.model import Block
from mailbanned.sources.base import Emit, SourceState, State
from mailbanned.sources.health import SILENT_S, MissedEntryCheck
from mailbanned.sources.journal.entry import JournalCursor, selector_name
from mailbanned.sources.journal.reader import Journalctl
from mailbanned.sources.journal.subscription import Batch, JournalSubscription

# What a record takes from journald to here at most, if the clock is right.
_LONGEST_WAY_S = 2.0
#: How long after old lines the source still counts as catching up. Seconds.
_SETTLE_S = 1.0
_MARK = "journal "


class JournalSource:
    """The journal of some units, as one source.

    entries: units and matches; see records.py for what is believed of each.
    marks: the marks of the last Block that was handled, from the last run; {} at first.
    since: where to begin without a mark (epoch).
    silent_s: after how long without a line it is asked whether there are any.
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
        silent_s: float = SILENT_S,
    ) -> None:
        self.name = name
        self._clock = clock
        self._journalctl = journalctl
        self._places = {
            entry: JournalCursor.parse(cursors.get(_MARK + entry, ""))
            or JournalCursor(int(since * 1e6))
            for entry in map(selector_name, selectors)
        }
        self._silent_s = silent_s
        self._silence = MissedEntryCheck(name, tuple(self._places), clock, journalctl)
        self._live_since = clock.now()
        self._live = False
        self._batch: Batch | None = None
        self._held = False
        self._lines = 0
        self._last_line_at: float | None = None

    @staticmethod
    def owns_cursor(entries: Sequence[str], name: str) -> bool:
        """Whether the mark of this name is of one of the entries."""
        return name in {_MARK + selector_name(entry) for entry in entries}

    async def run(self, emit: Emit) -> None:
        """Follows until cancelled and hands on every line exactly once."""
        async with asyncio.TaskGroup() as tasks:
            with self._journalctl.subscribe(self._places) as share:
                tasks.create_task(self._silence.run(self._silent_s))
                await self._follow(share, emit)

    async def _follow(self, share: JournalSubscription, emit: Emit) -> None:
        while True:
            await self._take(await share.batches.get(), emit)
            share.batches.task_done()

    async def _take(self, batch: Batch, emit: Emit) -> None:
        marks = {_MARK + entry: place.text for entry, place in batch.cursors.items()}
        ticks = batch.read_monotonic
        if batch.span is not None:
            first, last = batch.span
            written = first.at_us / 1e6
            # Once live it stays so, whatever somebody does to the clock.
            self._live = self._live or written >= self._live_since
            self._batch, self._held = batch, True
            self._lines += batch.data.count(b"\n")
            self._last_line_at = batch.arrived
            self._silence.on_line(last, batch.read_monotonic)
            # What the journal took counts as reaction time; a clock that was set does not.
            ticks -= min(max(0.0, batch.arrived - written), _LONGEST_WAY_S)
        await emit(Block(self.name, batch.data, batch.arrived, ticks, self._live, marks))
        self._held = False

    def state(self) -> SourceState:
        """How it is doing right now."""
        ticks, outage = self._clock.monotonic(), self._journalctl.outage
        state: State = "following"
        lag = self._lag(ticks)
        if outage is not None:
            state, lag = "down", max(lag, ticks - outage.since)
        elif lag and not self._live:
            state = "catching-up"
        return SourceState(
            name=self.name,
            kind="journal",
            paths=tuple(self._places),
            state=state,
            detail=self._silence.text if outage is None else outage.text,
            lines=self._lines,
            last_line_at=self._last_line_at,
            lag_bytes=0,
            lag_s=lag,
        )

    def _lag(self, ticks: float) -> float:
        """The age of what was read a moment ago, or is held up now; 0 if nothing was or is."""
        batch = self._batch
        if batch is None or batch.span is None:
            return 0.0
        since = ticks - batch.read_monotonic
        if not self._held and since >= _SETTLE_S:
            return 0.0
        return max(0.0, batch.arrived - batch.span[1].at_us / 1e6) + (since if self._held else 0.0)

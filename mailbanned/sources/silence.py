"""Tells a quiet unit from one whose lines no longer reach us.

A source that had lines and then none for hours asks a journalctl of its own whether there are newer
records. If so, either the one that reads for us is stuck (it is started again), or a new release
writes under another name, so that its records are not believed any more (see records.py).

Whether systemd calls the unit active is not asked: an active unit may well have nothing to say at
night, and records that did not come are a fault whatever becomes of their unit.
Known limit: nothing is known of lines before the start of the daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from mailbanned.clock import Clock
from mailbanned.log import get_logger
from mailbanned.sources.journalctl import Journalctl
from mailbanned.sources.places import Place
from mailbanned.sources.records import Record, is_believed, is_from, units

log = get_logger("sources")

#: How long without a line makes a source ask. Seconds.
SILENT_S = 6 * 3600.0
#: Records younger than this may just be on their way. Seconds.
_ON_ITS_WAY_S = 60.0
_REPEATS = 6


class Silence:
    """Watches over one source. text: what is wrong and what to do, "" if nothing is known of."""

    def __init__(
        self, source: str, entries: Collection[str], clock: Clock, journalctl: Journalctl
    ) -> None:
        self.text = ""
        self._source = source
        self._entries = entries
        self._clock = clock
        self._journalctl = journalctl
        self._place = Place(0)
        self._heard: float | None = None

    def heard(self, place: Place, ticks: float) -> None:
        """A line has come; its record stands at this place."""
        self._place, self._heard = place, ticks
        if self.text:
            self.text = ""
            log.info("Its lines come again", source=self._source)

    async def watch(self, silent_s: float) -> None:
        """Asks after so long without a line, and then every now and then, until cancelled."""
        while True:
            heard = self._clock.ticks() if self._heard is None else self._heard
            left = heard + silent_s - self._clock.ticks()
            if left <= 0:
                await self._ask()
                left = silent_s / _REPEATS
            await asyncio.sleep(left)

    async def _ask(self) -> None:
        heard, since = self._heard, self._place.at // 1_000_000
        matches = [*self._entries, *units(self._entries)]
        missed = any(map(self._is_missed, await self._journalctl.last(matches, since)))
        if not missed or self._heard != heard or self._journalctl.outage is not None:
            return
        self._journalctl.restart()
        if not self.text:
            names = ", ".join(self._entries)
            self.text = (
                f"The journal has newer records of {names} than have come here; journalctl is "
                "started again. If this stays, its records are not the service's own as they are "
                "known here: compare with journalctl -o verbose"
            )
            log.warning(self.text, source=self._source)

    def _is_missed(self, record: Record) -> bool:
        """Whether a record is one that the service itself wrote after the last line we had."""
        # Not by time alone: after a clock was set back, what was read before is newer.
        is_newer = record.place.is_after(self._place)
        return (
            is_newer
            and record.place.at / 1e6 < self._clock.now() - _ON_ITS_WAY_S
            and (
                any(is_believed(record, entry) for entry in self._entries)
                or any(is_from(record, unit) for unit in units(self._entries))
            )
        )

"""What keeps a file source from following its logs: said once each, and shown in its state.

Tells a quiet log from one that is written to and says nothing that can be understood.

A log may lose its voice without an error anywhere: its writer never ends a line, or it was given
another format and no line has a time stamp any more.

Known limits. A log whose lines never had time stamps is not expected to have them. Of what is read
at once only the last lines are looked at, and none of it within a minute after a good one.

Tells a quiet unit from one whose lines no longer reach us.

A source that had lines and then none for hours asks a journalctl of its own whether there are newer
records. If so, either the one that reads for us is stuck (it is started again), or a new release
writes under another name, so that its records are not believed any more (see records.py).

Whether systemd calls the unit active is not asked: an active unit may well have nothing to say at
night, and records that did not come are a fault whatever becomes of their unit.
Known limit: nothing is known of lines before the start of the daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from mailbanned.clock import Clock
from mailbanned.log import get_logger
from mailbanned.sources.base import PathState
from mailbanned.sources.file.rawfile import DecompressError
from mailbanned.sources.file.start import TooOld
from mailbanned.sources.journal.entry import (
    JournalCursor,
    JournalEntry,
    is_from_unit,
    is_trusted,
    unit_matches,
)
from mailbanned.sources.journal.reader import Journalctl

_log = get_logger("sources")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a path is not followed at the moment, in a sentence that says what to do."""

    state: Literal["waiting", "unreadable"]
    text: str


def unreadable_problem(path: str, error: OSError) -> Problem:
    """The trouble with a log that is there but cannot be read."""
    reason = error.strerror or str(error)
    if isinstance(error, DecompressError):
        return Problem(
            "unreadable", f"{path} cannot be unpacked ({reason}); the rest of it is lost"
        )
    remedy = "look into the file system that it is on"
    if isinstance(error, PermissionError):
        remedy = "give the daemon's user the right to read it (mode, ACL, SELinux: ausearch -m avc)"
    return Problem("unreadable", f"{path} cannot be read ({reason}); {remedy}")


class SourceHealth:
    """The troubles of one source at the moment, by path."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._by_path: dict[str, Problem] = {}
        self._missing: str | None = None
        self._said_missing = False

    def report(self, path: str, trouble: Problem) -> None:
        """A path has a trouble; it is said if it is another one than before."""
        if self._by_path.get(path) != trouble:
            self._by_path[path] = trouble
            _log.warning(trouble.text, source=self._source)

    def clear(self, path: str) -> None:
        """A path has been read without trouble."""
        if self._by_path.pop(path, None):
            _log.info(f"{path} is read again", source=self._source)

    def retain(self, *groups: Iterable[str]) -> None:
        """Forgets the troubles of all paths but these: there is nothing there any more."""
        paths = {path for group in groups for path in group}
        self._by_path = {p: trouble for p, trouble in self._by_path.items() if p in paths}

    def set_missing(self, pattern: str | None, say: bool) -> None:
        """No file is there at the pattern (None: there is one). `say`: it is worth a word."""
        self._missing = pattern
        if pattern is None:
            self._said_missing = False
        elif say and not self._said_missing:
            self._said_missing = True
            _log.warning(self._missing_text(pattern), source=self._source)

    def states(self) -> list[PathState]:
        """The paths with troubles at which no file is open."""
        return [
            PathState(path, trouble.state, None, 0, 0.0, None)
            for path, trouble in self._by_path.items()
        ]

    def worst(self) -> Problem | None:
        """The trouble to show."""
        unreadable_first = sorted(self._by_path.values(), key=lambda t: t.state)
        if unreadable_first:
            return unreadable_first[0]
        if self._missing is not None:
            return Problem("waiting", self._missing_text(self._missing))
        return None

    @staticmethod
    def _missing_text(pattern: str) -> str:
        return (
            f"There is no log file {pattern}; it is followed as soon as it appears. "
            "If it should be there, check the path and whether the service logs to it"
        )


#: How long a log may be written to without saying anything before that is told. Seconds.
MUTE_S = 600.0
_GOOD_FOR_S = 60.0
_LINES = 100


class FormatWatch:
    """What the log at one path has said lately. too_old: None of a line without a time stamp."""

    def __init__(self, too_old: TooOld) -> None:
        self._too_old = too_old
        self._stamped: float | None = None
        # Since when there is nothing but bytes, or lines without stamps; on the monotonic clock.
        self._endless: float | None = None
        self._unstamped: float | None = None

    def check(self, path: str, lines: bytes, grown: bool, ticks: float) -> Problem | None:
        """What is wrong, after a read: the lines that it gave, or none although it had grown."""
        if lines or not grown:
            self._endless = None
        elif self._endless is None:
            self._endless = ticks
        if lines:
            self._look_for_stamps(lines, ticks)
        if self._endless is not None and ticks - self._endless > MUTE_S:
            return _endless(path)
        if self._unstamped is not None and ticks - self._unstamped > MUTE_S:
            return _unstamped(path)
        return None

    def _look_for_stamps(self, lines: bytes, ticks: float) -> None:
        if self._stamped is not None and ticks - self._stamped < _GOOD_FOR_S:
            return
        last = lines.rsplit(b"\n", _LINES + 1)[-_LINES - 1 :]
        if any(self._too_old(line) is not None for line in last):
            self._stamped, self._unstamped = ticks, None
        elif self._stamped is not None and self._unstamped is None:
            self._unstamped = ticks


def _endless(path: str) -> Problem:
    return Problem(
        "waiting",
        f"{path} is written to, but for ten minutes no line in it was ended; "
        "see what the service writes there, and whether that is its log",
    )


def _unstamped(path: str) -> Problem:
    return Problem(
        "waiting",
        f"{path} is written to, but for ten minutes none of its lines had a time stamp; "
        "see whether the service logs in another format now (mailbanned test --explain LINE)",
    )


#: How long without a line makes a source ask. Seconds.
SILENT_S = 6 * 3600.0
#: Records younger than this may just be on their way. Seconds.
_ON_ITS_WAY_S = 60.0
_REPEATS = 6


class MissedEntryCheck:
    """Watches over one source. text: what is wrong and what to do, "" if nothing is known of."""

    def __init__(
        self, source: str, entries: Collection[str], clock: Clock, journalctl: Journalctl
    ) -> None:
        self.text = ""
        self._source = source
        self._entries = entries
        self._clock = clock
        self._journalctl = journalctl
        self._place = JournalCursor(0)
        self._heard: float | None = None

    def on_line(self, place: JournalCursor, ticks: float) -> None:
        """A line has come; its record stands at this place."""
        self._place, self._heard = place, ticks
        if self.text:
            self.text = ""
            _log.info("Its lines come again", source=self._source)

    async def run(self, silent_s: float) -> None:
        """Asks after so long without a line, and then every now and then, until cancelled."""
        while True:
            heard = self._clock.monotonic() if self._heard is None else self._heard
            left = heard + silent_s - self._clock.monotonic()
            if left <= 0:
                await self._ask()
                left = silent_s / _REPEATS
            await asyncio.sleep(left)

    async def _ask(self) -> None:
        heard, since = self._heard, self._place.at_us // 1_000_000
        matches = [*self._entries, *unit_matches(self._entries)]
        missed = any(map(self._is_missed, await self._journalctl.query_recent(matches, since)))
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
            _log.warning(self.text, source=self._source)

    def _is_missed(self, record: JournalEntry) -> bool:
        """Whether a record is one that the service itself wrote after the last line we had."""
        # Not by time alone: after a clock was set back, what was read before is newer.
        is_newer = record.cursor.is_after(self._place)
        return (
            is_newer
            and record.cursor.at_us / 1e6 < self._clock.now() - _ON_ITS_WAY_S
            and (
                any(is_trusted(record, entry) for entry in self._entries)
                or any(is_from_unit(record, unit) for unit in unit_matches(self._entries))
            )
        )

"""A log file that a source has open, and what the source knows about it."""

from __future__ import annotations

from dataclasses import dataclass

from mailbanned.sources.base import PathState, State
from mailbanned.sources.file.checkpoint import Checkpoint
from mailbanned.sources.file.reader import Tail

#: How long a rotated file has to be quiet before it is closed. Seconds.
LINGER_S = 10.0
#: A file that appears is new if it was written to after the look before, give or take this.
_SLACK_S = 2.0


@dataclass(eq=False, slots=True)
class TrackedFile:
    """An open file.

    path: where the log is expected; if `rotated`, that leads to another file or nowhere.
    found_after: the last look (epoch) before it was there; None if it was there from the start.
    last_data_at: when it last had lines, on the monotonic clock.
    caught_up_at: when all that was in it had been read, on the monotonic clock; until then, the
        earliest time at which what is still to be read may have been written.
    last_line_at: when its last line was read (epoch), None if there was none yet.
    position_known: whether it was decided where it belongs among the files of its path, and where
        to begin in it.
    find_start: it is the first file of its path: its lines count that are not too old.
    predecessor: the file that was at its path before; the lines in it come first.
    live: whether what is read now was written while we followed.
    rotated: another file is at its path, or none.
    broken: it could not be read; it is tried again at the next look.
    """

    tail: Tail
    path: str
    found_after: float | None
    last_data_at: float
    caught_up_at: float
    last_line_at: float | None = None
    position_known: bool = False
    find_start: bool = False
    predecessor: TrackedFile | None = None
    live: bool = False
    rotated: bool = False
    broken: bool = False

    def __str__(self) -> str:
        return f"{self.path} (rotated)" if self.rotated else self.path

    def checkpoint(self) -> Checkpoint | None:
        """Where reading of it resumes; None if nothing was read of it yet."""
        return self.tail.checkpoint(self.path)

    def is_new(self) -> bool:
        """Whether it was written to after we had looked in vain for it."""
        written = self.tail.raw.status().st_mtime
        return self.found_after is not None and written >= self.found_after - _SLACK_S

    def is_done(self, ticks: float, newest: bool, replaced: bool) -> bool:
        """Whether it was rotated, is read and may be closed.

        Servers go on writing into a renamed log until they are reloaded. newest: no other file of
        its path was rotated later. replaced: another file is at its path.
        """
        if not self.rotated or not self.position_known:
            return False
        try:
            if self.tail.has_more():
                return False
            if self.tail.compressed:
                return True
            deleted = self.tail.raw.status().st_nlink == 0
        except OSError:
            return True
        given_up = deleted or (replaced and not newest)
        return given_up and ticks - self.last_data_at >= LINGER_S

    def state(self, ticks: float) -> PathState:
        """How it is doing."""
        try:
            lag = self.tail.lag()
        except OSError:
            lag = 0
        state: State = "following" if self.live else "catching-up"
        return PathState(
            path=str(self),
            state="unreadable" if self.broken else state,
            inode=self.tail.identity[1],
            lag_bytes=lag,
            lag_s=max(0.0, ticks - self.caught_up_at) if lag else 0.0,
            last_line_at=self.last_line_at,
        )

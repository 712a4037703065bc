"""A log file that a source has open, and the state that it is in.

    NEW -> WAITING -> CATCHING_UP -> LIVE        and from each of them to FAILED and back, or to NEW

Whether a file was rotated is not a state: a rotated file is read on like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from mailbanned.sources.base import PathState, State
from mailbanned.sources.file.checkpoint import Checkpoint
from mailbanned.sources.file.reader import Tail

#: How long a rotated file has to be quiet before it is closed. Seconds.
LINGER_S = 10.0
#: A file that appears is new if it was written to after the rescan before, give or take this.
_SLACK_S = 2.0


class FileState(Enum):
    """What can be done with an open file.

    NEW: rotation.py has not decided yet, or has to decide again, where its lines belong.
    WAITING: it is to be read, from a start that is looked for when its turn comes.
    CATCHING_UP: it is read; its lines were written before the file was followed.
    LIVE: it is read; its lines are written while the file is followed.
    FAILED: it could not be read; the next rescan tries again.
    """

    NEW = auto()
    WAITING = auto()
    CATCHING_UP = auto()
    LIVE = auto()
    FAILED = auto()


class FileEvent(Enum):
    """What moves a file from one state to another.

    PLANNED: it is to be read, from its position if it has one already.
    STARTED: it has got its position.
    CAUGHT_UP: it was read to its end.
    REPLAN: it has to be decided again where its lines belong; its position is given up.
    READ_FAILED: reading raised an error.
    RETRY: it may be read again after an error.
    """

    PLANNED = auto()
    STARTED = auto()
    CAUGHT_UP = auto()
    REPLAN = auto()
    READ_FAILED = auto()
    RETRY = auto()


@dataclass(eq=False, slots=True)
class TrackedFile:
    """An open file.

    path: where the log is expected; if `is_rotated`, another file is there, or none.
    found_after: the last rescan (epoch) before it was there; None if it was there from the start.
    last_data_at: when it last had lines, on the monotonic clock.
    caught_up_at: when it was last read to its end, on the monotonic clock; while it is behind, the
        earliest time at which its unread bytes may have been written.
    last_line_at: when its last line was read (epoch), None if there was none yet.
    is_rotated: whether another file is at its path, or none.
    find_start: whether it is the first file of its path, so that expired lines are skipped.
    predecessor: the file that was at its path before; the lines in it come first.
    state: see FileState; only `advance` sets it.
    is_live: whether it was live once. Then it is again whenever it is read.
    """

    tail: Tail
    path: str
    found_after: float | None
    last_data_at: float
    caught_up_at: float
    last_line_at: float | None = None
    is_rotated: bool = False
    find_start: bool = False
    predecessor: TrackedFile | None = None
    state: FileState = FileState.NEW
    is_live: bool = False
    _failed_in: FileState = FileState.NEW

    def __str__(self) -> str:
        return f"{self.path} (rotated)" if self.is_rotated else self.path

    def advance(self, event: FileEvent, *, live: bool = False) -> None:
        """Moves to the next state. live: lines from now on are written while it is followed."""
        self.is_live = self.is_live or live or event is FileEvent.CAUGHT_UP
        reading = FileState.LIVE if self.is_live else FileState.CATCHING_UP
        if event is FileEvent.READ_FAILED:
            if self.state is not FileState.FAILED:
                self._failed_in, self.state = self.state, FileState.FAILED
        elif event is FileEvent.RETRY:
            self.state = self._failed_in
        elif event is FileEvent.REPLAN:
            self.tail.give_up_position()
            self.state = FileState.NEW
        elif event is FileEvent.PLANNED and not self.tail.positioned:
            self.state = FileState.WAITING
        else:
            self.state = reading

    @property
    def position_known(self) -> bool:
        """Whether it is decided where its lines belong, and from where it is read."""
        return self.state not in (FileState.NEW, FileState.FAILED)

    def checkpoint(self) -> Checkpoint | None:
        """Where reading of it resumes; None if nothing was read of it yet."""
        return self.tail.checkpoint(self.path)

    def is_new(self) -> bool:
        """Whether it was written to after an earlier rescan had not found it."""
        mtime = self.tail.raw.status().st_mtime
        return self.found_after is not None and mtime >= self.found_after - _SLACK_S

    def is_done(self, monotonic: float, *, newest: bool, replaced: bool) -> bool:
        """Whether it was rotated, is read to its end and may be closed.

        Servers go on writing into a renamed log until they are reloaded. newest: no other file of
        its path was rotated later. replaced: another file is at its path.
        """
        if not self.is_rotated or not self.position_known:
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
        return given_up and monotonic - self.last_data_at >= LINGER_S

    def path_state(self, monotonic: float) -> PathState:
        """Its present state, for `status`."""
        try:
            lag = self.tail.lag()
        except OSError:
            lag = 0
        state: State = "following" if self.is_live else "catching-up"
        return PathState(
            path=str(self),
            state="unreadable" if self.state is FileState.FAILED else state,
            inode=self.tail.identity[1],
            lag_bytes=lag,
            lag_s=max(0.0, monotonic - self.caught_up_at) if lag else 0.0,
            last_line_at=self.last_line_at,
        )

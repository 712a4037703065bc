"""The interface of a source, which follows log lines and emits them as Blocks.

    follow -> Block (whole lines) -> emit

A source never raises for a problem of its log: it reports it in its state and once in the daemon's
log, and keeps trying. Awaiting `emit` is the back-pressure: until it returns, the source reads
nothing, and the log itself is the buffer. tests/sources/contract.py tests every source.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from mailbanned.model import Block

Emit = Callable[[Block], Awaitable[None]]

#: following: lines are read as they are written. catching-up: still reading older lines.
#: waiting: the log does not exist yet. unreadable: it exists and cannot be read.
#: down: the program that reads it (journalctl) does not run.
State = Literal["following", "catching-up", "waiting", "unreadable", "down"]


@dataclass(frozen=True, slots=True)
class PathState:
    """The state of one followed file.

    path: where it is expected, with " (rotated)" if it was renamed.
    inode: None if it is not open.
    lag_bytes: bytes that are not read yet, a half line included; compressed bytes of a compressed
        file.
    lag_s: seconds since the file was last read to its end, and so the greatest age of its unread
        bytes. 0 if there are none.
    last_line_at: when its last line was read (epoch), None if there was none yet.
    """

    path: str
    state: State
    inode: int | None
    lag_bytes: int
    lag_s: float
    last_line_at: float | None


@dataclass(frozen=True, slots=True)
class SourceState:
    """The state of a source, for `status`.

    paths: the files that are followed; for a journal, its selectors.
    detail: what is wrong and what to do about it, in one sentence; "" if nothing is.
    lines: lines emitted since the start.
    last_line_at: when the last of them was read (epoch), None if there was none yet.
    lag_bytes: bytes that are not read yet; always 0 for a journal, where it is not known.
    lag_s: the greatest age of unread bytes, in seconds; for a journal, the age of the last entry
        that was read while it catches up, or for how long journalctl has been down.
    files: the state of each open file, rotated ones included, and of each that cannot be opened.
    """

    name: str
    kind: Literal["file", "journal"]
    paths: tuple[str, ...]
    state: State
    detail: str
    lines: int
    last_line_at: float | None
    lag_bytes: int
    lag_s: float = 0.0
    files: tuple[PathState, ...] = ()


class Source(Protocol):
    """One followed log, or several under one name."""

    name: str

    async def run(self, emit: Emit) -> None:
        """Follows until cancelled and emits every line exactly once."""
        ...

    def state(self) -> SourceState:
        """The present state, for `status`."""
        ...

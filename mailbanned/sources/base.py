"""What every source is: something that follows log lines and hands them on as Blocks.

    follow -> Block (whole lines) -> emit

A source never raises for what happens to its log: it says so in its state, once in the daemon's
log, and goes on trying. Awaiting `emit` is the back-pressure: while it takes its time, the source
waits where it is, and the log itself is the buffer. What holds for every source is tested by
tests/sources/contract.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from mailbanned.model import Block

Emit = Callable[[Block], Awaitable[None]]

#: following: every line is read as it comes. catching-up: still reading what was written before.
#: waiting: nothing there to read yet. unreadable: there, but it may not or cannot be read.
#: down: the program that reads for us (journalctl) does not run.
State = Literal["following", "catching-up", "waiting", "unreadable", "down"]


@dataclass(frozen=True, slots=True)
class PathState:
    """How one followed file is doing.

    path: where it is expected, with " (rotated)" if another file stands there now.
    inode: its number; None if it is not open.
    lag_bytes: bytes that are written but not yet read, a half line included; of a packed file,
        as it is packed.
    lag_s: how long ago the first of them may have been written at most: since when the file was
        last seen read to its end, in seconds. 0 if there are none.
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
    """How a source is doing, for `status`.

    paths: the files that are followed; for a journal, its units.
    detail: what is wrong and what to do about it, in one sentence; "" if nothing is.
    lines: lines handed on since the start.
    last_line_at: when the last of them was read (epoch), None if there was none yet.
    lag_bytes: bytes that are written but not yet read; always 0 for a journal, which cannot tell.
    lag_s: how old the oldest of them may be, in seconds; for a journal, how old the last record
        was that was read while it catches up, or for how long journalctl has been down.
    files: each open file by itself, rotated ones included, and each that should be but cannot.
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
        """Follows until cancelled and hands on every line exactly once."""
        ...

    def state(self) -> SourceState:
        """How it is doing right now."""
        ...

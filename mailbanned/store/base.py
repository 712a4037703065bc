"""The store's contract, its values, and the null implementation that saves nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mailbanned.address import Subject
from mailbanned.model import Ban, Unban

WindowKey = tuple[str, Subject]
Windows = Mapping[WindowKey, tuple[float, ...]]


class StoreError(Exception):
    """The state cannot be loaded or saved; the text says why and what to do."""


class CheckpointKey(NamedTuple):
    """Which log a checkpoint is of.

    name: the log's identity: how a file begins, or "journal SELECTOR".
    source: the source that wrote it; tells two sources of one log apart.
    """

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class State:
    """What an earlier run left.

    checkpoints: in the order in which they were written.
    banned_total: how many bans each jail made, as far as the history goes back.
    """

    bans: Sequence[Ban] = ()
    checkpoints: Mapping[CheckpointKey, str] = field(default_factory=dict)
    banned_total: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """One transaction. Windows without times and checkpoints of None are deleted.

    decisions: in the order in which they were made, since a subject may leave and come back.
    """

    decisions: Sequence[Ban | Unban] = ()
    windows: Windows = field(default_factory=dict)
    checkpoints: Mapping[CheckpointKey, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.decisions or self.windows or self.checkpoints)


@dataclass(frozen=True, slots=True)
class PastBan:
    """A ban of the history, over or still active.

    until: the end that it was given. ended, end_reason: when and why it ended; None if it is
    active, or expired while no daemon ran.
    """

    jail: str
    subject: Subject
    since: float
    until: float | None
    failures: int
    reason: str
    ended: float | None
    end_reason: str | None


class Store(Protocol):
    """Where state is kept."""

    async def load(self, now: float, findtime: float) -> State:
        """Returns the state at `now`. findtime: for how long failures count at most (s).

        Raises StoreError.
        """
        ...

    def windows(self) -> AsyncIterator[Windows]:
        """Yields the failure times in portions, the most recent last; all at once could exceed the
        memory. Raises StoreError.
        """
        ...

    async def save(self, changes: Changes) -> None:
        """Saves all of the changes or none. Raises StoreError."""
        ...

    async def past_bans(self, subjects: Sequence[Subject] | None = None) -> list[PastBan]:
        """Returns the history of bans (of these subjects), oldest first. Raises StoreError."""
        ...

    async def prune(self, now: float, findtime: float) -> None:
        """Deletes expired windows and old history, and frees their space. findtime: as for load.

        Raises StoreError.
        """
        ...

    async def close(self) -> None:
        """Closes the state; another daemon may open it."""
        ...


class MemoryStore:
    """Remembers what it was given until it is gone: for tests."""

    def __init__(self) -> None:
        self.saved: list[Changes] = []

    async def load(self, now: float, findtime: float) -> State:
        return State()

    async def windows(self) -> AsyncIterator[Windows]:
        for windows in list[Windows]():
            yield windows

    async def save(self, changes: Changes) -> None:
        self.saved.append(changes)

    async def past_bans(self, subjects: Sequence[Subject] | None = None) -> list[PastBan]:
        return []

    async def prune(self, now: float, findtime: float) -> None:
        pass

    async def close(self) -> None:
        pass

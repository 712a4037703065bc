"""The store's contract, its values, and the null twin that forgets everything at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mailbanned.address import Subject
from mailbanned.model import Ban, Unban

Marks = Mapping[str, str]
WindowKey = tuple[str, Subject]
Windows = Mapping[WindowKey, tuple[float, ...]]


class StoreError(Exception):
    """The state cannot be kept; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class State:
    """What an earlier run left: bans in force, and read positions per source."""

    bans: Sequence[Ban] = ()
    marks: Mapping[str, Marks] = field(default_factory=dict)
    banned_total: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """One transaction. Windows without times are deleted; marks replace all of their source.

    decisions: in the order in which they were made, since a subject may leave and come back.
    """

    decisions: Sequence[Ban | Unban] = ()
    windows: Windows = field(default_factory=dict)
    marks: Mapping[str, Marks] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.decisions or self.windows or self.marks)


@dataclass(frozen=True, slots=True)
class Past:
    """A ban of former times, or one that holds.

    until: the end that it was given. ended, how: when and how it really ended (None: it holds, or
    ran out while nobody was there).
    """

    jail: str
    subject: Subject
    since: float
    until: float | None
    failures: int
    reason: str
    ended: float | None
    how: str | None


class Store(Protocol):
    """Where state is kept."""

    async def load(self, now: float, findtime: float) -> State:
        """What holds at `now`. findtime: so long (s) failures count at most. Raises StoreError."""
        ...

    def windows(self) -> AsyncIterator[Windows]:
        """The failure times, in portions, those that failed last at the end: there may be more
        than memory should hold at once. Raises StoreError.
        """
        ...

    async def save(self, changes: Changes) -> None:
        """All of the changes or none. Raises StoreError."""
        ...

    async def past(self, subjects: Sequence[Subject] | None = None) -> list[Past]:
        """Every ban (of these subjects) that is remembered, oldest first. Raises StoreError."""
        ...

    async def tidy(self, now: float, findtime: float) -> None:
        """Forgets what is too old to be of use, and gives its space back. findtime: as for load.
        Raises StoreError.
        """
        ...

    async def close(self) -> None:
        """Lets go of the state; another daemon may take it."""
        ...


class MemoryStore:
    """Keeps nothing beyond its own life: for dry runs and tests."""

    def __init__(self) -> None:
        self.saved: list[Changes] = []

    async def load(self, now: float, findtime: float) -> State:
        return State()

    async def windows(self) -> AsyncIterator[Windows]:
        for none in list[Windows]():
            yield none

    async def save(self, changes: Changes) -> None:
        self.saved.append(changes)

    async def past(self, subjects: Sequence[Subject] | None = None) -> list[Past]:
        return []

    async def tidy(self, now: float, findtime: float) -> None:
        pass

    async def close(self) -> None:
        pass

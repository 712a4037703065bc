"""What keeps a file source from following its logs: said once each, and shown in its state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mailbanned.log import get_logger
from mailbanned.sources.base import PathState
from mailbanned.sources.raw import Unpackable

log = get_logger("sources")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a path is not followed at the moment, in a sentence that says what to do."""

    state: Literal["waiting", "unreadable"]
    text: str


def unreadable(path: str, error: OSError) -> Trouble:
    """The trouble with a log that is there but cannot be read."""
    reason = error.strerror or str(error)
    if isinstance(error, Unpackable):
        return Trouble(
            "unreadable", f"{path} cannot be unpacked ({reason}); the rest of it is lost"
        )
    remedy = "look into the file system that it is on"
    if isinstance(error, PermissionError):
        remedy = "give the daemon's user the right to read it (mode, ACL, SELinux: ausearch -m avc)"
    return Trouble("unreadable", f"{path} cannot be read ({reason}); {remedy}")


class Troubles:
    """The troubles of one source at the moment, by path."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._by_path: dict[str, Trouble] = {}
        self._missing: str | None = None
        self._said_missing = False

    def add(self, path: str, trouble: Trouble) -> None:
        """A path has a trouble; it is said if it is another one than before."""
        if self._by_path.get(path) != trouble:
            self._by_path[path] = trouble
            log.warning(trouble.text, source=self._source)

    def solved(self, path: str) -> None:
        """A path has been read without trouble."""
        if self._by_path.pop(path, None):
            log.info(f"{path} is read again", source=self._source)

    def keep(self, *groups: Iterable[str]) -> None:
        """Forgets the troubles of all paths but these: there is nothing there any more."""
        paths = {path for group in groups for path in group}
        self._by_path = {p: trouble for p, trouble in self._by_path.items() if p in paths}

    def missing(self, pattern: str | None, say: bool) -> None:
        """No file is there at the pattern (None: there is one). `say`: it is worth a word."""
        self._missing = pattern
        if pattern is None:
            self._said_missing = False
        elif say and not self._said_missing:
            self._said_missing = True
            log.warning(self._missing_text(pattern), source=self._source)

    def states(self) -> list[PathState]:
        """The paths with troubles at which no file is open."""
        return [
            PathState(path, trouble.state, None, 0, 0.0, None)
            for path, trouble in self._by_path.items()
        ]

    def worst(self) -> Trouble | None:
        """The trouble to show."""
        unreadable_first = sorted(self._by_path.values(), key=lambda t: t.state)
        if unreadable_first:
            return unreadable_first[0]
        if self._missing is not None:
            return Trouble("waiting", self._missing_text(self._missing))
        return None

    @staticmethod
    def _missing_text(pattern: str) -> str:
        return (
            f"There is no log file {pattern}; it is followed as soon as it appears. "
            "If it should be there, check the path and whether the service logs to it"
        )

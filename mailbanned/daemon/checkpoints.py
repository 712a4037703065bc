"""Where reading of each log resumes, whichever source reads it.

A checkpoint belongs to a log: its name says which one, and a source that starts takes those its
selector matches. The source that wrote it is part of the key only because two running sources may
read one log, each up to a position of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from mailbanned.store import CheckpointKey

#: Whether a checkpoint, of this name and value, is of a log of the source.
Selector = Callable[[str, str], bool]


class Checkpoints:
    """The checkpoints of all logs, and which of them changed since they were last saved.

    saved: those of the store, in the order in which they were written.
    """

    def __init__(self, saved: Mapping[CheckpointKey, str]) -> None:
        self._values = dict(saved)  # the one written last is at the end
        self._current: dict[str, Collection[str]] = {}
        self._changed: dict[CheckpointKey, None] = {}

    def claim(
        self, selectors: Mapping[str, Selector], running: Collection[str]
    ) -> dict[str, dict[str, str]]:
        """The checkpoints at which sources resume, by source; no other source keeps them.

        A source prefers those that it wrote itself; of the others the one written last counts.
        running: the sources that keep what they have.
        """
        claimed: dict[str, dict[str, str]] = {source: {} for source in selectors}
        own: dict[str, dict[str, str]] = {source: {} for source in selectors}
        for key, value in list(self._values.items()):
            takers = [source for source, owns in selectors.items() if owns(key.name, value)]
            if key.source in running or not takers:
                continue
            if key.source in takers:
                own[key.source][key.name] = value
            else:
                for source in takers:
                    claimed[source][key.name] = value
            self._set(key, None)
        for source, checkpoints in claimed.items():
            checkpoints.update(own[source])
            self._current[source] = ()
            self.update(source, checkpoints)
        return claimed

    def update(self, source: str, checkpoints: Mapping[str, str]) -> None:
        """Replaces the checkpoints that a running source has."""
        for name in self._current.get(source, ()):
            if name not in checkpoints:
                self._set(CheckpointKey(name, source), None)
        for name, value in checkpoints.items():
            self._set(CheckpointKey(name, source), value)
        self._current[source] = checkpoints.keys()

    def _set(self, key: CheckpointKey, value: str | None) -> None:
        if self._values.get(key) != value:
            self._values.pop(key, None)
            if value is not None:
                self._values[key] = value
            self._changed.pop(key, None)
            self._changed[key] = None

    def take_changes(self) -> dict[CheckpointKey, str | None]:
        """What changed since the last call, in the order of the changes; None is deleted."""
        changes = {key: self._values.get(key) for key in self._changed}
        self._changed = {}
        return changes

    def put_back(self, changes: Collection[CheckpointKey]) -> None:
        """Returns changes that could not be saved, as older than those made since."""
        self._changed = {**dict.fromkeys(changes), **self._changed}

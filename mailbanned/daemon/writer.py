"""Saves decisions, counts and checkpoints: 0.1 s after a ban, else once a second.

Everything since the last save goes into one transaction, so that checkpoints fit the decisions
made from the lines before them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from mailbanned.clock import Clock
from mailbanned.daemon.checkpoints import Checkpoints
from mailbanned.log import Condition, get_logger
from mailbanned.model import Ban, Unban
from mailbanned.store import Changes, PackedWindows, Store, StoreError, Windows

_log = get_logger("store")

_PAUSE_S = 1.0
# For how long a ban waits for others to be saved with it: every statement is a switch of threads.
# (After a kill its line would be read again.)
_TOGETHER_S = 0.1
_RETRY_AFTER_S = 10.0


class PendingChanges:
    """Collects what is to be saved in one transaction.

    urgent: set while a decision waits.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.urgent = asyncio.Event()
        self._checkpoints = checkpoints
        self._decisions: list[Ban | Unban] = []
        self._windows = PackedWindows()

    def record_decision(self, decision: Ban | Unban) -> None:
        """Saves a decision soon; a ban is saved together with the deletion of its counts.

        The other counts wait for the checkpoint that fits them.
        """
        self._decisions.append(decision)
        if isinstance(decision, Ban) and decision.failures:
            self._windows.add({(decision.jail, decision.subject): ()})
        self.urgent.set()

    def record_progress(
        self, source: str, checkpoints: Mapping[str, str], windows: Windows
    ) -> None:
        """Saves up to where the lines of a source were counted, and the windows that changed."""
        self._checkpoints.update(source, checkpoints)
        self._windows.add(windows)

    def take(self, windows: Windows) -> Changes:
        """Returns and empties the collection. windows: what else changed, and fits it."""
        self.urgent.clear()
        self._windows.add(windows)
        changes = Changes(tuple(self._decisions), self._windows, self._checkpoints.take_changes())
        self._decisions, self._windows = [], PackedWindows()
        return changes

    def put_back(self, changes: Changes) -> None:
        """Returns changes that could not be saved, as older than those collected since."""
        self._decisions[:0] = changes.decisions
        windows = PackedWindows.of(changes.windows)
        windows.extend(self._windows)
        self._windows = windows
        self._checkpoints.put_back(changes.checkpoints)


class StateWriter:
    """Saves pending changes to a store.

    collect_windows: returns the windows that changed since the last call and fit the checkpoints.
    """

    def __init__(
        self, store: Store, pending: PendingChanges, collect_windows: Callable[[], Windows]
    ) -> None:
        self._store = store
        self._pending = pending
        self._collect_windows = collect_windows
        self._condition = Condition(_log)
        self.error = ""

    async def run(self) -> None:
        """Saves until cancelled; the caller saves once more after that."""
        while True:
            await self.save()
            try:
                async with asyncio.timeout(_RETRY_AFTER_S if self.error else _PAUSE_S):
                    await self._pending.urgent.wait()
                await asyncio.sleep(_TOGETHER_S)
            except TimeoutError:
                pass
            if self.error:
                await asyncio.sleep(_PAUSE_S)

    async def prune(
        self, clock: Clock, findtime: Callable[[], float], pause: float = 3600.0
    ) -> None:
        """Prunes the store after every pause (s), until cancelled.

        findtime: returns for how long failures count at most (s).
        """
        while True:
            await asyncio.sleep(pause)
            try:
                await self._store.prune(clock.now(), findtime())
            except StoreError as error:
                _log.warning("cannot tidy up the state file", error=str(error))

    async def save(self) -> None:
        """Saves what is pending; after a failure it stays pending.

        When cancelled it finishes first, since a transaction must not be written twice.
        """
        saving = asyncio.ensure_future(self._save())
        try:
            await asyncio.shield(saving)
        except asyncio.CancelledError:
            await asyncio.wait([saving])
            saving.result()  # raises what is a bug
            raise

    async def _save(self) -> None:
        changes = self._pending.take(self._collect_windows())
        if not changes:
            return
        try:
            await self._store.save(changes)
        except StoreError as error:
            self._pending.put_back(changes)
            if str(error) != self.error:
                self._condition = Condition(_log)  # another error is logged again
            self.error = str(error)
            self._condition.report(
                "cannot save the state; bans stay in force, but a restart would forget them",
                level="error",
                error=self.error,
            )
        else:
            self.error = ""
            self._condition.clear("the state is saved again")

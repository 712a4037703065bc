"""Writes down what was decided and read: a tenth of a second after a ban, else once a second.

Everything since the last save goes into one transaction, so positions and the decisions made from
the lines before them are always of one age.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from mailbanned.clock import Clock
from mailbanned.log import get_logger
from mailbanned.model import Ban, Unban
from mailbanned.store import Changes, Packed, Store, StoreError, Windows

log = get_logger("store")

_PAUSE = 1.0
# So long a ban waits for others to be saved with it: every statement is a visit of a thread. (After
# a kill its line would be read again.)
_TOGETHER = 0.1
_WHEN_FAILING = 10.0


class Saver:
    """Collects changes for a store.

    windows: gives the windows that changed since it was last asked, and that fit the marks.
    """

    def __init__(self, store: Store, windows: Callable[[], Windows] = dict) -> None:
        self._store = store
        self.windows = windows
        self._decisions: list[Ban | Unban] = []
        self._windows = Packed()
        self._marks: dict[str, Mapping[str, str]] = {}
        self._urgent = asyncio.Event()
        self.marks: dict[str, Mapping[str, str]] = {}
        self.error = ""

    def decided(self, decision: Ban | Unban) -> None:
        """A decision to be saved as soon as possible, and with a ban that its counts are gone.

        The other counts wait for the position that fits them.
        """
        self._decisions.append(decision)
        if isinstance(decision, Ban) and decision.failures:
            self._windows.add({(decision.jail, decision.subject): ()})
        self._urgent.set()

    def read(self, source: str, marks: Mapping[str, str], windows: Windows | None = None) -> None:
        """A source has been handled up to these marks, and that changed these windows."""
        self.marks[source] = self._marks[source] = marks
        self._windows.add(windows or {})

    async def run(self) -> None:
        """Saves until cancelled; the caller saves once more after that."""
        while True:
            await self.save()
            try:
                async with asyncio.timeout(_WHEN_FAILING if self.error else _PAUSE):
                    await self._urgent.wait()
                await asyncio.sleep(_TOGETHER)
            except TimeoutError:
                pass
            if self.error:
                await asyncio.sleep(_PAUSE)

    async def tidy(
        self, clock: Clock, findtime: Callable[[], float], pause: float = 3600.0
    ) -> None:
        """Makes the store forget what is too old, after every pause (s), until cancelled.

        findtime: tells how long failures count at most.
        """
        while True:
            await asyncio.sleep(pause)
            try:
                await self._store.tidy(clock.now(), findtime())
            except StoreError as error:
                log.warning("cannot tidy up the state file", error=str(error))

    async def save(self) -> None:
        """Saves what there is. A failing store is said once; its changes are kept for later.

        If cancelled, it first comes to its end: what is half written would be written twice.
        """
        saving = asyncio.ensure_future(self._save())
        try:
            await asyncio.shield(saving)
        except asyncio.CancelledError:
            await asyncio.wait([saving])
            saving.result()  # an error of ours is to be seen
            raise

    async def _save(self) -> None:
        self._urgent.clear()
        self._windows.add(self.windows())
        changes = Changes(tuple(self._decisions), self._windows, self._marks)
        if not changes:
            return
        self._decisions, self._windows, self._marks = [], Packed(), {}
        try:
            await self._store.save(changes)
        except StoreError as error:
            self._keep(changes)
            if str(error) != self.error:
                log.error(
                    "cannot save the state; bans stay in force, but a restart would forget them",
                    error=str(error),
                )
            self.error = str(error)
        else:
            if self.error:
                log.info("the state is saved again")
            self.error = ""

    def _keep(self, changes: Changes) -> None:
        """Puts back what was not saved, behind what has come since."""
        self._decisions[:0] = changes.decisions
        windows = Packed.of(changes.windows)
        windows.extend(self._windows)
        self._windows = windows
        self._marks = {**changes.marks, **self._marks}

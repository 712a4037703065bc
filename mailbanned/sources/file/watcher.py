"""Wakes whoever reads logs when something changes in a directory; the only file with watchfiles.

One Watcher, and so one thread, serves the whole daemon. It watches directories and never files:
a rotation shows in the directory, and a file that is not there yet cannot be watched. Each
directory is watched together with its parent, where its own removal and return show; while it is
missing, its nearest existing ancestor is watched instead.

Known limits. A wake-up is a hint, not a promise: network and overlay file systems send no events,
the kernel's queue may overflow, and a parent that may not be read hides its children, so readers
also look by themselves now and then. watchfiles looks at its events once in a step, and idling
costs one short thread wake-up for each, so steps are long; what happens inside a directory is
told by haste.py long before.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from types import TracebackType

from watchfiles import Change, awatch

from mailbanned.log import get_logger
from mailbanned.sources.file.inotify import InotifyBackend

log = get_logger("sources")

#: How often readers look without being woken: some file systems send no events. Seconds.
LOOK_S = 2.0
_RETRY_S = 1.0
_REPLAN_S = 0.01
_SURVEY_MS = 1000


class Subscription:
    """One reader's wake-ups. A context manager: at its end nothing is watched for it any more."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._event = asyncio.Event()
        self._names_changed = True
        self.directories: frozenset[str] = frozenset()

    def watch(self, directories: Iterable[str]) -> None:
        """Replaces the directories whose changes wake this reader."""
        wanted = frozenset(directories)
        if wanted != self.directories:
            self.directories = wanted
            self._watcher.refresh()

    async def wait(self, timeout: float) -> bool:
        """Returns when something changed since the last wait, or after `timeout` seconds.

        False: only contents of files changed. True: names may have changed as well (a file or
        directory came, went or was renamed, or was missed while the watch began anew), or the
        time is up; so it is time to look at the directories again.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return True
        names_changed, self._names_changed = self._names_changed, False
        self._event.clear()
        return names_changed

    def wake(self, names_changed: bool) -> None:
        """Ends the reader's wait, now or as soon as it waits again."""
        self._names_changed |= names_changed
        self._event.set()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watcher.unsubscribe(self)


class Watcher:
    """Watches the directories of all subscriptions while `run` runs.

    step_ms: how often watchfiles looks at its events.
    """

    def __init__(self, *, step_ms: int = 50) -> None:
        self._step_ms = step_ms
        self._subscriptions: set[Subscription] = set()
        self._plan = _Plan(())
        self._replan = asyncio.Event()
        self._trouble = ""
        self._haste = InotifyBackend(self._written)

    def subscribe(self, *directories: str) -> Subscription:
        """A new subscription, woken by changes in these directories."""
        subscription = Subscription(self)
        self._subscriptions.add(subscription)
        subscription.watch(directories)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Called by the subscription at its end."""
        self._subscriptions.discard(subscription)
        self.refresh()

    def refresh(self) -> None:
        """Takes note of who waits for what now; other directories need a watch begun anew."""
        watched, self._plan = self._plan.places, _Plan(self._subscriptions)
        if self._plan.places != watched:
            self._replan.set()

    async def run(self) -> None:
        """Watches until cancelled. Whatever goes wrong is logged once and tried again."""
        with self._haste as haste:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(haste.run())
                await self._keep_watching(haste)

    async def _keep_watching(self, haste: InotifyBackend) -> None:
        while True:
            self._replan.clear()
            self._plan = _Plan(self._subscriptions)
            haste.watch(self._plan.places)
            try:
                await self._watch(*self._plan.places)
            except FileNotFoundError:  # a directory went while the watch began
                await asyncio.sleep(_REPLAN_S)
            except Exception as error:  # whatever watchfiles raises, at times in a group, ends here
                self._complain(error)
                await asyncio.sleep(_RETRY_S)

    async def _watch(self, *places: str) -> None:
        """Watches these places until others are due."""
        if not places:
            await self._replan.wait()
            return
        # awatch sets up its watches before it first lets other tasks run, so this call comes
        # after that: what happened while nothing was watched is then looked up by everybody.
        asyncio.get_running_loop().call_soon(self._start_over)
        async for changes in awatch(
            *places,
            watch_filter=None,
            step=self._step_ms,
            debounce=self._step_ms,
            rust_timeout=_SURVEY_MS,
            yield_on_timeout=True,
            recursive=False,
            stop_event=self._replan,
        ):
            self._trouble = ""
            self._plan.wake(changes, self._haste)
            names = {path for change, path in changes if change is not Change.modified}
            if not names.isdisjoint(places):  # gone, and perhaps back with the very same inode
                self._replan.set()
            elif names or not changes:
                self.refresh()

    def _written(self, directory: str | None, names_changed: bool) -> None:
        """Something happened in a directory, or in some of them."""
        for subscription in self._plan.readers(directory):
            subscription.wake(names_changed)

    def _start_over(self) -> None:
        for subscription in self._subscriptions:
            subscription.wake(names_changed=True)
        self.refresh()

    def _complain(self, error: Exception) -> None:
        if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.warning(
                "Log directories cannot be watched for changes, so logs are only looked at every "
                f"{LOOK_S:g} seconds; if this lasts, raise fs.inotify.max_user_instances and "
                "max_user_watches",
                error=self._trouble,
            )


class _Plan:
    """Which places to watch, and whom a change in them concerns.

    places: each watched directory with its device and inode, so that another directory under the
        same name is seen to be another.
    """

    def __init__(self, subscriptions: Iterable[Subscription]) -> None:
        self.places: dict[str, tuple[int, int]] = {}
        self._inside: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._exactly: defaultdict[str, set[Subscription]] = defaultdict(set)
        concerned: defaultdict[str, set[Subscription]] = defaultdict(set)
        for subscription in subscriptions:
            for directory in subscription.directories:
                concerned[directory].add(subscription)
        for directory, readers in concerned.items():
            self._add(Path(os.path.realpath(directory)), readers)

    def _add(self, directory: Path, readers: set[Subscription]) -> None:
        """`directory` is free of symbolic links, so that it is watched under one name only."""
        if self._place(directory):
            self._inside[str(directory)] |= readers
        for child, parent in zip((directory, *directory.parents), directory.parents, strict=False):
            self._exactly[str(child)] |= readers
            if self._place(parent):
                break

    def _place(self, directory: Path) -> bool:
        """Whether there is such a directory that may be read; if so, it is watched."""
        try:
            status = directory.stat()
        except OSError:
            return False
        if not stat.S_ISDIR(status.st_mode) or not os.access(directory, os.R_OK):
            return False
        self.places[str(directory)] = (status.st_dev, status.st_ino)
        return True

    def readers(self, directory: str | None) -> Iterable[Subscription]:
        """Whom it concerns what happens in a directory (None: in any of them)."""
        if directory is None:
            return chain(*self._inside.values())
        return self._inside.get(directory, ())

    def wake(self, changes: Iterable[tuple[Change, str]], haste: InotifyBackend) -> None:
        """Wakes every subscription that one of the changes concerns and that is still asleep."""
        for change, path in changes:
            names_changed = change is not Change.modified
            parent = str(Path(path).parent)
            if not haste.covers(parent):
                for subscription in self._inside.get(parent, ()):
                    subscription.wake(names_changed)
            for subscription in self._exactly.get(path, ()):
                subscription.wake(names_changed=True)

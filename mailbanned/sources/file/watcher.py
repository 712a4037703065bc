"""Wakes file sources when something changes in a directory; the only file with watchfiles.

One Watcher, and so one thread, serves the whole daemon. It watches directories and never files:
a rotation shows in the directory, and a missing file cannot be watched. Each directory is watched
together with its parent, where its removal and return show; while it is missing, its nearest
existing ancestor is watched instead.

watchfiles reports which directories come, go and change; inotify.py reports writes inside them, and
does so first. Where inotify cannot be had, watchfiles reports writes, too.

Known limits. A wake-up is a hint, not a promise: network and overlay file systems send no events,
the kernel's queue may overflow, and a parent that may not be read hides its children, so sources
also poll. watchfiles delivers events once in a step, and each step costs a thread wake-up, so
steps are long.
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

from mailbanned.log import Condition, get_logger
from mailbanned.sources.file.inotify import InotifyBackend

_log = get_logger("sources")

#: How often sources rescan without being woken: some file systems send no events. Seconds.
LOOK_S = 2.0
_RETRY_S = 1.0
_REPLAN_S = 0.01


class Subscription:
    """The wake-ups of one source. A context manager that unsubscribes at its end."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._event = asyncio.Event()
        self._names_changed = True
        self.directories: frozenset[str] = frozenset()

    def watch(self, directories: Iterable[str]) -> None:
        """Replaces the directories whose changes wake this source."""
        wanted = frozenset(directories)
        if wanted != self.directories:
            self.directories = wanted
            self._watcher.refresh()

    async def wait(self, timeout: float) -> bool:
        """Returns when something has changed since the last wait, or after `timeout` seconds.

        True if names may have changed (a file or directory came, went or was renamed, or events
        were missed while the watch restarted), or the time is up: then a rescan is due. False if
        only contents of files changed.
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
        """Ends the wait of the source, or its next one if it is not waiting."""
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

    step_ms: how often watchfiles delivers events.
    refresh_ms: how often the watched directories are checked for being replaced.
    """

    def __init__(self, *, step_ms: int = 50, refresh_ms: int = 1000) -> None:
        self._step_ms = step_ms
        self._refresh_ms = refresh_ms
        self._subscriptions: set[Subscription] = set()
        self._watch_set = _WatchSet(())
        self._replan = asyncio.Event()
        self._condition = Condition(_log)
        self._inotify = InotifyBackend(self._on_change)

    def subscribe(self, *directories: str) -> Subscription:
        """A new subscription, which changes in these directories wake."""
        subscription = Subscription(self)
        self._subscriptions.add(subscription)
        subscription.watch(directories)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Removes a subscription; it does this itself at its end."""
        self._subscriptions.discard(subscription)
        self.refresh()

    def refresh(self) -> None:
        """Updates what is watched for the subscriptions; restarts the watch if that changed."""
        watched, self._watch_set = self._watch_set.directories, _WatchSet(self._subscriptions)
        if self._watch_set.directories != watched:
            self._replan.set()

    async def run(self) -> None:
        """Watches until cancelled. An error is logged once, and the watch is tried again."""
        with self._inotify as inotify:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(inotify.run())
                await self._keep_watching(inotify)

    async def _keep_watching(self, inotify: InotifyBackend) -> None:
        while True:
            self._replan.clear()
            self._watch_set = _WatchSet(self._subscriptions)
            inotify.watch(self._watch_set.directories)
            try:
                await self._watch(*self._watch_set.directories)
            except FileNotFoundError:  # a directory was removed while the watch started
                await asyncio.sleep(_REPLAN_S)
            except Exception as error:  # watchfiles raises all kinds, at times in a group
                self._report(error)
                await asyncio.sleep(_RETRY_S)

    async def _watch(self, *directories: str) -> None:
        """Watches these directories until others have to be watched."""
        if not directories:
            await self._replan.wait()
            return
        # awatch sets up its watches before it first lets other tasks run, so this call comes
        # after that: all sources rescan for what happened while nothing was watched.
        asyncio.get_running_loop().call_soon(self._wake_all)
        async for changes in awatch(
            *directories,
            watch_filter=None,
            step=self._step_ms,
            debounce=self._step_ms,
            rust_timeout=self._refresh_ms,
            yield_on_timeout=True,
            recursive=False,
            stop_event=self._replan,
        ):
            self._condition.clear("watching log directories again")
            self._watch_set.wake(changes, self._inotify)
            names = {path for change, path in changes if change is not Change.modified}
            if not names.isdisjoint(directories):  # removed, and perhaps back with the same inode
                self._replan.set()
            elif names or not changes:
                self.refresh()

    def _on_change(self, directory: str | None, names_changed: bool) -> None:
        """Wakes the sources that read from a directory (None: from any)."""
        for subscription in self._watch_set.readers(directory):
            subscription.wake(names_changed)

    def _wake_all(self) -> None:
        for subscription in self._subscriptions:
            subscription.wake(names_changed=True)
        self.refresh()

    def _report(self, error: Exception) -> None:
        if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        self._condition.report(
            f"cannot watch log directories ({error}); checking logs every {LOOK_S:g} seconds; "
            "if this lasts, raise fs.inotify.max_user_instances and max_user_watches"
        )


class _WatchSet:
    """Which directories to watch, and which subscriptions a change in them wakes.

    directories: each watched directory with its device and inode, to notice when another one has
        taken its name.
    """

    def __init__(self, subscriptions: Iterable[Subscription]) -> None:
        self.directories: dict[str, tuple[int, int]] = {}
        self._content_watchers: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._name_watchers: defaultdict[str, set[Subscription]] = defaultdict(set)
        concerned: defaultdict[str, set[Subscription]] = defaultdict(set)
        for subscription in subscriptions:
            for directory in subscription.directories:
                concerned[directory].add(subscription)
        for directory, readers in concerned.items():
            self._add(Path(os.path.realpath(directory)), readers)

    def _add(self, directory: Path, readers: set[Subscription]) -> None:
        """`directory` is free of symbolic links, so that it is watched under one name only."""
        if self._add_if_readable(directory):
            self._content_watchers[str(directory)] |= readers
        for child, parent in zip((directory, *directory.parents), directory.parents, strict=False):
            self._name_watchers[str(child)] |= readers
            if self._add_if_readable(parent):
                break

    def _add_if_readable(self, directory: Path) -> bool:
        """Whether there is such a directory that may be read; if so, it is watched."""
        try:
            status = directory.stat()
        except OSError:
            return False
        if not stat.S_ISDIR(status.st_mode) or not os.access(directory, os.R_OK):
            return False
        self.directories[str(directory)] = (status.st_dev, status.st_ino)
        return True

    def readers(self, directory: str | None) -> Iterable[Subscription]:
        """Whom it concerns what happens in a directory (None: in any of them)."""
        if directory is None:
            return chain(*self._content_watchers.values())
        return self._content_watchers.get(directory, ())

    def wake(self, changes: Iterable[tuple[Change, str]], inotify: InotifyBackend) -> None:
        """Wakes every subscription that one of the changes concerns and that is still asleep."""
        for change, path in changes:
            names_changed = change is not Change.modified
            parent = str(Path(path).parent)
            if not inotify.covers(parent):
                for subscription in self._content_watchers.get(parent, ()):
                    subscription.wake(names_changed)
            for subscription in self._name_watchers.get(path, ()):
                subscription.wake(names_changed=True)

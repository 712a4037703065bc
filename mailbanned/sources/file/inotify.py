"""Tells of a write into a directory as soon as it happened; the only file with asyncinotify.

watchfiles gathers events in a thread and looks at them once in a step: to be quick it would have to
wake up hundreds of times a second. The kernel wakes us only when there is something to read.

Known limits: it only hastens. Where it fails (the limits of inotify, a file system without events)
wake-ups come later, from the Watcher. Directories themselves are the Watcher's affair, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import Self

from asyncinotify import Inotify, Mask, Watch

from mailbanned.log import get_logger

log = get_logger("sources")

_NAMES = Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO
_INSIDE = Mask.MODIFY | _NAMES


class InotifyBackend:
    """Watches directories while its `with` lasts and `run` runs.

    tell: is given the directory (None: any of them), and whether names in it may have changed.
    """

    def __init__(self, tell: Callable[[str | None, bool], None]) -> None:
        self._tell = tell
        self._inotify: Inotify | None = None
        self._watches: dict[str, Watch] = {}
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._inotify = self._undo.enter_context(Inotify())
        except OSError as error:
            log.info("Logs are read without haste", reason=error.strerror)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()
        self._inotify = None
        self._watches.clear()

    def covers(self, directory: str) -> bool:
        """Whether what happens in it is told."""
        return directory in self._watches

    def watch(self, directories: Iterable[str]) -> None:
        """Replaces the directories that are watched, and notices those that are not what they were.

        The kernel gives one watch for one directory, however often it is asked.
        """
        if self._inotify is None:
            return
        before, self._watches = self._watches, {}
        for directory in directories:
            with suppress(OSError):  # gone meanwhile, or one watch too many for this host
                self._watches[directory] = self._inotify.add_watch(directory, _INSIDE)
        for watch in set(before.values()) - set(self._watches.values()):
            with suppress(OSError):  # it went with its directory
                self._inotify.rm_watch(watch)

    async def run(self) -> None:
        """Tells until cancelled."""
        if self._inotify is None:
            return
        async for event in self._inotify:
            if event.watch is None:  # the kernel had to drop events
                self._tell(None, True)
                continue
            directories = [path for path, watch in self._watches.items() if watch is event.watch]
            for directory in directories:
                if Mask.IGNORED in event.mask:  # the watch has ended
                    del self._watches[directory]
                else:
                    self._tell(directory, bool(event.mask & _NAMES))

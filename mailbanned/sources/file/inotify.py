"""Reports a write in a directory at once, by inotify; the only file with asyncinotify.

watchfiles collects events in a thread and delivers them once in a step: to be fast, its steps would
have to be a few milliseconds. inotify in the event loop costs nothing while nothing happens.

Known limits: it is only a faster way. Where it fails (the limits of inotify, a file system without
events) wake-ups come later, from watchfiles, which also reports directories that come and go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import Self

from asyncinotify import Inotify, Mask, Watch

from mailbanned.log import get_logger

_log = get_logger("sources")

_NAMES = Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO
_INSIDE = Mask.MODIFY | _NAMES


class InotifyBackend:
    """Watches directories while its `with` lasts and `run` runs.

    on_change: called with the directory (None: any of them), and whether names in it may have
        changed.
    """

    def __init__(self, on_change: Callable[[str | None, bool], None]) -> None:
        self._on_change = on_change
        self._inotify: Inotify | None = None
        self._watches: dict[str, Watch] = {}
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._inotify = self._undo.enter_context(Inotify())
        except OSError as error:
            _log.info(
                "cannot use inotify; writes to logs are noticed some 50 ms later",
                reason=error.strerror,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()
        self._inotify = None
        self._watches.clear()

    def covers(self, directory: str) -> bool:
        """Whether changes in a directory are reported."""
        return directory in self._watches

    def watch(self, directories: Iterable[str]) -> None:
        """Replaces the watched directories; a path at which there is a new one is watched again.

        The kernel returns the same watch for a directory that is watched already.
        """
        if self._inotify is None:
            return
        before, self._watches = self._watches, {}
        for directory in directories:
            with suppress(OSError):  # gone meanwhile, or the limit of watches is reached
                self._watches[directory] = self._inotify.add_watch(directory, _INSIDE)
        for watch in set(before.values()) - set(self._watches.values()):
            with suppress(OSError):  # removed with its directory
                self._inotify.rm_watch(watch)

    async def run(self) -> None:
        """Reports changes until cancelled."""
        if self._inotify is None:
            return
        async for event in self._inotify:
            if event.watch is None:  # the kernel had to drop events
                self._on_change(None, True)
                continue
            directories = [path for path, watch in self._watches.items() if watch is event.watch]
            for directory in directories:
                if Mask.IGNORED in event.mask:  # the watch has ended
                    del self._watches[directory]
                else:
                    self._on_change(directory, bool(event.mask & _NAMES))

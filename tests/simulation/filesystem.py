"""The file system as the code under test sees it, while others are at work between its calls.

The files are real, in a real folder. Only these calls of `os` are led through here: open, stat,
lstat, fstat, scandir. Before each of them the world may act, as another process would. What differs
from machine to machine is decided by the run: inodes (and whether they are used again), the order
of a folder, and what may be opened (root may open everything).

Known limit: calls that Python makes in C (reading from an open file, closing it) are not led
through here. They run in the executor, and the scheduler decides when.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_DEVICE = 1

_open, _stat, _lstat, _fstat, _scandir = os.open, os.stat, os.lstat, os.fstat, os.scandir

Key = tuple[int, int]


class Inodes:
    """Numbers for files that do not depend on the file system of this machine.

    reused: the next new file gets the number of one that is gone and not held open any more, as on
        ext4; else every file gets a new number, as on tmpfs or btrfs.
    """

    def __init__(self, reused: bool) -> None:
        self._reused = reused
        self._numbers: dict[Key, int] = {}
        self._gone: list[tuple[Key, int]] = []
        self._last = 100

    def created(self, descriptor: int) -> None:
        """A file has just been made."""
        status = _fstat(descriptor)
        key = (status.st_dev, status.st_ino)
        self._numbers.pop(key, None)
        self._numbers[key] = self._free()

    def unlinked(self, status: os.stat_result) -> None:
        """The last name of a file has just been removed; this was its status before."""
        self._gone.append(((status.st_dev, status.st_ino), self.of(status)))

    def of(self, status: os.stat_result) -> int:
        """The number of a file."""
        key = (status.st_dev, status.st_ino)
        if key not in self._numbers:
            self._last += 1
            self._numbers[key] = self._last
        return self._numbers[key]

    def _free(self) -> int:
        if self._reused and self._gone:
            held = _held_open()
            for place, (key, number) in enumerate(self._gone):
                if key not in held or self._numbers.get(key) != number:
                    del self._gone[place]
                    return number
        self._last += 1
        return self._last


def _held_open() -> set[Key]:
    """The files that this process has open."""
    held = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            status = _fstat(int(descriptor.name))
            held.add((status.st_dev, status.st_ino))
    return held


class Entry:
    """As os.DirEntry, with simulated numbers."""

    def __init__(self, entry: os.DirEntry[str], system: FileSystem) -> None:
        self.name = entry.name
        self.path = entry.path
        self._entry = entry
        self._system = system
        self._inode = system.inodes.of(_lstat(entry.path))

    def inode(self) -> int:
        return self._inode

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return self._system.stat(self.path, follow_symlinks=follow_symlinks)


class FileSystem:
    """Leads the calls of a run through `between`, and shows simulated numbers.

    between: called before each call of the code under test; here the world may act.
    refused: paths that the code under test may not open.
    names_changed: when names in folders last changed (epoch, ns).
    """

    def __init__(self, folder: Path, inodes: Inodes, between: Callable[[], None]) -> None:
        self.inodes = inodes
        self.refused: set[str] = set()
        self.names_changed = 0
        self._folder = str(folder)
        self._between = between
        self._quiet = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Puts these calls in the place of those in `os`."""
        replaced: dict[str, Any] = {
            "open": self.open,
            "stat": self.stat,
            "lstat": self.lstat,
            "fstat": self.fstat,
            "scandir": self.scandir,
        }
        before = {name: getattr(os, name) for name in replaced}
        for name, call in replaced.items():
            setattr(os, name, call)
        try:
            yield
        finally:
            for name, call in before.items():
                setattr(os, name, call)

    @contextmanager
    def for_the_world(self) -> Iterator[None]:
        """Calls inside are the world's own: nothing comes between them."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def unlinking(self, path: Path) -> None:
        """A name is about to be removed: that of a file, if it has no other."""
        status = _lstat(path)
        if status.st_nlink == 1:
            self.inodes.unlinked(status)

    def open(self, path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        self._step()
        if not self._quiet and str(path) in self.refused:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return _open(path, flags, *arguments, **options)

    def stat(self, path: Any, **options: Any) -> os.stat_result:
        self._step()
        return self._shown(_stat(path, **options))

    def lstat(self, path: Any, **options: Any) -> os.stat_result:
        self._step()
        return self._shown(_lstat(path, **options))

    def fstat(self, descriptor: int) -> os.stat_result:
        self._step()
        return self._shown(_fstat(descriptor))

    @contextmanager
    def scandir(self, path: Any = ".") -> Iterator[Iterator[Entry]]:
        self._step()
        with _scandir(path) as entries:
            listed = [Entry(entry, self) for entry in sorted(entries, key=lambda entry: entry.name)]
        yield iter(listed)

    def _step(self) -> None:
        if not self._quiet:
            self._between()

    def _shown(self, status: os.stat_result) -> os.stat_result:
        """The status with a simulated inode; everything else is real."""
        numbers = (status.st_mode, self.inodes.of(status), _DEVICE, status.st_nlink, 0, 0)
        is_folder = stat.S_ISDIR(status.st_mode)
        written = self.names_changed if is_folder else status.st_mtime_ns
        size_and_times = (status.st_size, int(status.st_atime), written // 10**9, 0)
        hidden = {"st_mtime": written / 1e9, "st_mtime_ns": written}
        return os.stat_result((*numbers, *size_and_times), hidden)

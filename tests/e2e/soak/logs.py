"""A log as servers and logrotate treat it: written by one handle, renamed, copied and emptied."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path


class Log:
    """One log file and its rotated predecessors. Safe to be written and rotated by two threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = path.open("ab", buffering=0)
        self._lock = threading.Lock()
        self._rotations = 0

    def write(self, *lines: str) -> None:
        """Lines to its end, in one piece."""
        with self._lock:
            self._handle.write("".join(f"{line}\n" for line in lines).encode())

    def rename(self, last: str) -> None:
        """As logrotate does; the server writes a last line into the renamed file."""
        with self._lock:
            self.path.rename(self._next_name())
            new = self.path.open("ab", buffering=0)
            self._handle.write(f"{last}\n".encode())
            self._handle.close()
            self._handle = new

    def copytruncate(self, is_read: Callable[[], object]) -> None:
        """As logrotate's copytruncate, while nobody writes and all has been read.

        is_read: waits until it has; nothing is written meanwhile.
        """
        with self._lock:
            is_read()
            shutil.copyfile(self.path, self._next_name())
            os.truncate(self.path, 0)

    def tidy(self) -> None:
        """Removes all rotated files but the newest, as logrotate does."""
        for old in sorted(self.path.parent.glob(f"{self.path.name}-*"))[:-1]:
            old.unlink()

    def close(self) -> None:
        self._handle.close()

    def _next_name(self) -> Path:
        self._rotations += 1
        return Path(f"{self.path}-20260501-{self._rotations:06}")

"""Wakes journalctl as soon as there is a new journal entry.

journald notifies readers only 250 ms after a new entry, to wake them seldom, though the entry is in
its file at once. So this module polls the header of the journal file, which counts the entries, and
when it has changed, it writes a trigger file into the directory that journalctl watches. That
directory is a temporary one with symbolic links to the real journal directories.

Known limits: a journal on a file system that is shared with other hosts may not show its changes,
nor do the journals of single users. Their entries come when journald notifies journalctl.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Self

from mailbanned.log import get_logger

_log = get_logger("sources")

#: How often the headers are read. Seconds.
POLL_S = 0.02
#: After N polls, the directories are checked for being replaced.
_REFRESH_EVERY = 50
_JOURNAL_DIRECTORIES = ("var/log/journal", "run/log/journal")
#: In the header of a journal file: the number of entries, and the number of the newest one.
_COUNTS_AT, _COUNTS_BYTES = 152, 16


class JournalWakeup:
    """A directory for journalctl, which exists while its `with` lasts.

    root: the root of the file system in which journalctl runs; None if it is not known.
    options: options for journalctl; none where there is no journal file to poll.
    """

    def __init__(self, root: Path | None, poll_s: float = POLL_S) -> None:
        self._root = root
        self._poll_s = poll_s
        self._files: list[_JournalFile] = []
        self.options: tuple[str, ...] = ()
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self._root is None:
            return self
        try:
            self._prepare(self._root)
        except OSError as error:
            _log.info(
                "cannot wake journalctl; journal entries are read up to 250 ms later",
                reason=str(error),
            )
        return self

    def _prepare(self, root: Path) -> None:
        machine = (root / "etc/machine-id").read_text().strip()
        folder = self._undo.enter_context(tempfile.TemporaryDirectory(prefix="mailbanned-"))
        self._trigger_file = Path(folder, "trigger")
        self._wake()
        # journalctl only reads directories that are named like a machine; the names must differ.
        for name, parent in zip((machine, machine[::-1]), _JOURNAL_DIRECTORIES, strict=True):
            target = Path("/", parent, machine)
            file = _JournalFile(Path(folder, name), target, root / parent / machine)
            self._undo.callback(file.close)
            self._files.append(file)
        if any([file.refresh() for file in self._files]):  # noqa: C419 - refreshes each of them
            self.options = (f"--directory={folder}",)

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    async def run(self) -> None:
        """Polls and wakes journalctl until cancelled.

        Raises OSError if the directory is lost (cleaned away, or its disk is full): then journalctl
        may miss where the journal is moved to, and needs another directory.
        """
        polls = 0
        while self.options:
            await asyncio.sleep(self._poll_s)
            polls += 1
            if polls % _REFRESH_EVERY == 0:
                for file in self._files:
                    file.refresh()
            if any(file.has_grown() for file in self._files):
                self._wake()

    def _wake(self) -> None:
        self._trigger_file.write_bytes(b"!")


class _JournalFile:
    """The file that journald writes to, in one of the directories where it may be.

    link: the link to make to its directory.
    target: its directory as journalctl sees it. directory: the same as we see it.
    """

    def __init__(self, link: Path, target: Path, directory: Path) -> None:
        self._link, self._target, self._directory = link, target, directory
        self._path = directory / "system.journal"
        self._identity: tuple[int, int] | None = None
        self._descriptor = -1
        self._inode = 0
        self._counts = b""

    def refresh(self) -> bool:
        """Links to its directory, again if that was replaced. False if there never was one.

        journalctl notices a link that is made.
        """
        try:
            status = self._directory.stat()
        except OSError:
            return self._identity is not None
        identity = status.st_dev, status.st_ino
        if identity != self._identity:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self._target)
            self._identity = identity
        return True

    def has_grown(self) -> bool:
        """Whether there are entries that were not there at the last call."""
        try:
            if self._descriptor < 0 or self._path.stat().st_ino != self._inode:
                self.close()
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                self._inode = os.fstat(self._descriptor).st_ino
            counts = os.pread(self._descriptor, _COUNTS_BYTES, _COUNTS_AT)
        except OSError:
            return False
        has_grown, self._counts = counts != self._counts, counts
        return has_grown

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

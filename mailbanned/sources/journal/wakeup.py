"""Makes journalctl look as soon as there is something new.

journald tells readers of new records only a quarter of a second after the first of them (it wants
to wake them seldom), though the records are in its file at once. So the header of the file, which
counts them, is looked at every few hundredths of a second. When it has changed, journalctl is
woken: it watches the directory that it reads, which is one of ours, with links to the real ones.

Known limits: a journal on a file system that is shared with other hosts may not show its changes,
nor do the journals of single users. Their records come when journald tells of them, as without us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Self

from mailbanned.log import get_logger

log = get_logger("sources")

_LOOK_S = 0.02
_SURVEY_EVERY = 50  # looks
_PLACES = ("var/log/journal", "run/log/journal")
# In the header of a journal file: the number of records, and that of the newest one.
_COUNTS_AT, _COUNTS = 152, 16


class JournalWakeup:
    """A directory for journalctl, at work for the time of a `with`.

    root: where the file system stands in which journalctl runs; None if nobody can say.
    options: what journalctl is to be told; none where there is nothing to look at.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._files: list[_File] = []
        self.options: tuple[str, ...] = ()
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self._root is None:
            return self
        try:
            self._prepare(self._root)
        except OSError as error:
            log.info("The journal is read without haste", reason=str(error))
        return self

    def _prepare(self, root: Path) -> None:
        machine = (root / "etc/machine-id").read_text().strip()
        ours = self._undo.enter_context(tempfile.TemporaryDirectory(prefix="mailbanned-"))
        self._trigger_file = Path(ours, "bell")
        self._touch_trigger()
        # Only what looks like a machine's directory is read; each needs a name of its own.
        for name, place in zip((machine, machine[::-1]), _PLACES, strict=True):
            where = Path("/", place, machine)
            file = _File(Path(ours, name), where, root / place / machine)
            self._undo.callback(file.close)
            self._files.append(file)
        found = [file.refresh() for file in self._files]
        if any(found):
            self.options = (f"--directory={ours}",)

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    async def run(self) -> None:
        """Looks and wakes until cancelled.

        Raises OSError if the directory is lost (it was cleaned away, or its disk is full): then
        journalctl may miss where the journal goes, and needs another one.
        """
        looks = 0
        while self.options:
            await asyncio.sleep(_LOOK_S)
            looks += 1
            if looks % _SURVEY_EVERY == 0:
                for file in self._files:
                    file.refresh()
            if any(file.has_grown() for file in self._files):
                self._touch_trigger()

    def _touch_trigger(self) -> None:
        self._trigger_file.write_bytes(b"!")


class _File:
    """The journal file that journald writes to, in one of the places where it may be.

    link: our name for its directory. where: its directory, as journalctl sees it. seen: as we do.
    """

    def __init__(self, link: Path, where: Path, seen: Path) -> None:
        self._link, self._where, self._seen = link, where, seen
        self._file = seen / "system.journal"
        self._directory: tuple[int, int] | None = None
        self._open = -1
        self._inode = 0
        self._counts = b""

    def refresh(self) -> bool:
        """Whether there is such a directory. journalctl notices the link that a new one gets."""
        try:
            status = self._seen.stat()
        except OSError:
            return self._directory is not None
        directory = status.st_dev, status.st_ino
        if directory != self._directory:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self._where)
            self._directory = directory
        return True

    def has_grown(self) -> bool:
        """Whether there are records that were not there at the last look."""
        try:
            if self._open < 0 or self._file.stat().st_ino != self._inode:
                self.close()
                self._open = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
                self._inode = os.fstat(self._open).st_ino
            counts = os.pread(self._open, _COUNTS, _COUNTS_AT)
        except OSError:
            return False
        grown, self._counts = counts != self._counts, counts
        return grown

    def close(self) -> None:
        """Lets go of the file."""
        if self._open >= 0:
            os.close(self._open)
            self._open = -1

"""One log: what a server writes to it, and what is done to its files, a step at a time."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

from mailbanned.sources.file.checkpoint import HEAD_BYTES
from tests.simulation.content import Content, Writer
from tests.simulation.files import Files
from tests.simulation.names import Names
from tests.simulation.simulation import Move

_FILLERS = (9, 12, 60, 200)
_MANY = 60
_PIECES = (1, 7, 100, 400)
_DAMAGES = (0, 7, 100, 1000)
_COPIED_AT_ONCE = (64, 1000, 1 << 20)


class Log:
    """A log at a path. What takes several steps is a generator; it yields what it has just done.

    writers: who writes to it, oldest first; the last one writes into the file that is there now.
    """

    def __init__(self, path: Path, files: Files) -> None:
        self.writers: list[Writer] = []
        self._path = path
        self._files = files
        self._names = Names(path, files.scenario.naming)
        self._numbers: list[int] = []
        self._locked = False
        if self._names.linked:
            target = self._names.next()
            self._open(target)
            path.symlink_to(target.name)
        else:
            self._open(path)

    def _open(self, path: Path) -> None:
        """A server writes to this file from now on; it may still write to others, too."""
        self.writers.append(self._files.writer(path))

    def _close_old(self) -> None:
        """The server has been reloaded: it writes to the newest file only."""
        while len(self.writers) > 1:
            self._finish(self.writers.pop(0))

    def _finish(self, writer: Writer) -> None:
        writer.flush()
        self._files.touch(writer.descriptor)
        writer.close()

    # ---- In one step ------------------------------------------------------------------------

    def write(self, move: Move) -> str:
        """Adds lines, perhaps not to the end of the last one."""
        if not self.writers or self._locked:
            return ""
        writer = self.writers[move.a // 4 % len(self.writers)]
        for number in range(move.b % 5 if move.b % 16 else _MANY):
            self._numbers.append(writer.add(_FILLERS[(move.b + number) // 5 % len(_FILLERS)]))
        size = None if move.b % 3 else _PIECES[move.b // 3 % len(_PIECES)]
        written = writer.flush(size)
        self._files.touch(writer.descriptor)
        return f"{written} bytes to {self._files.name(writer.content)}, lines up to {writer.last}"

    def refuse(self, refused: bool) -> str:
        """The log may not, or may again, be opened."""
        path, paths = str(self._path), self._files.system.refused
        if (path in paths) == refused or self._names.linked:  # it has another name beside the link
            return ""
        (paths.add if refused else paths.discard)(path)
        return f"{self._path.name} may {'not ' if refused else ''}be opened"

    def power_failure(self, move: Move) -> str:
        """What was written last is lost, and NULs are in its place; the server starts again."""
        if not self._is_quiet():
            return ""
        count = _DAMAGES[move.a // 4 % len(_DAMAGES)]
        self._files.damage(self._path, count, self.writers[0])
        return f"power failure: the last {count} bytes of {self._path.name} are NULs"

    def shorten(self) -> str:
        """The last line is removed, once everything was read."""
        lines = self._files.contents[self._path].lines if self._is_quiet() else []
        if len(lines) < 2 or not self._is_read() or lines[-1][1] != self._path.stat().st_size:
            return ""
        data = self._path.read_bytes()
        nuls = len(data) - len(data.lstrip(b"\0"))
        if lines[-2][1] < nuls + HEAD_BYTES:  # it would be another file for every reader
            return ""
        self._files.shorten(self._path)
        return f"{self._path.name} is shortened by its last line"

    def _is_quiet(self) -> bool:
        """Whether nothing but writing goes on in the log."""
        return len(self.writers) == 1 and not self._locked and self._path in self._files.contents

    def settle(self) -> None:
        """All that servers were about to write is written."""
        if not self.writers:
            self._open(self._path)
        for writer in self.writers:
            writer.flush()
            self._files.touch(writer.descriptor)

    def close(self) -> None:
        """Its servers end without another word."""
        for writer in self.writers:
            writer.close()
        self.writers.clear()

    # ---- In several steps -------------------------------------------------------------------

    def begin(self, move: Move) -> Iterator[str] | None:
        """What a move begins, None if that cannot be done now."""
        if move.kind == "pack":
            return self._pack(move)
        if move.kind == "prune":
            return self._prune()
        if move.kind in ("cut", "remove"):
            if self._names.linked or not self._is_read():
                return None
            return self._cut() if move.kind == "cut" else self._remove(move)
        if not self._is_known():
            return None
        if self._names.linked:
            return self._switch() if move.kind == "rotate" else None
        if move.kind == "rotate":
            return self._rotate(move)
        return self._copytruncate(move) if move.kind == "copytruncate" else self._replace()

    def _is_known(self) -> bool:
        """Whether a line of it was read; before that, it is no log yet for any reader."""
        return any(number in self._files.lines.committed for number in self._numbers)

    def _is_read(self) -> bool:
        content = self.writers[-1].content
        return len(self.writers) == 1 and content.is_committed(self._files.lines)

    def _move_up(self) -> Iterator[str]:
        """With numbers, every rotated file gets the next one, the oldest first."""
        for path, new in self._names.moved_up():
            self._files.rename(path, new)
            yield f"rename {path.name} to {new.name}"

    def _rotate(self, move: Move) -> Iterator[str]:
        """As logrotate does: the server writes into the renamed file until it is reloaded."""
        yield from self._move_up()
        rotated = self._names.next()
        self._files.rename(self._path, rotated)
        yield f"rename {self._path.name} to {rotated.name}"
        if move.b % 8 == 0:
            os.mkfifo(self._path)
            yield "a FIFO is in the place of the log"
            self._path.unlink()
        if move.b % 3 == 0:
            self._files.create(self._path)
            yield "an empty log is made"
        self._open(self._path)
        yield "the server writes to the new log, too"
        self._close_old()
        yield f"the server has done with {rotated.name}"

    def _switch(self) -> Iterator[str]:
        """As cronolog does: the path is a link, which leads to another file from now on."""
        target, link = self._names.next(), self._path.with_name(".link")
        self._open(target)
        yield f"the server writes to {target.name}, too"
        link.symlink_to(target.name)
        link.rename(self._path)
        yield f"the link leads to {target.name}"
        self._close_old()
        yield "the server has done with the old file"

    def _copytruncate(self, move: Move) -> Iterator[str]:
        """As logrotate does: lines that are written after the copy was made are lost."""
        yield from self._move_up()
        rotated, size = self._names.next(), _COPIED_AT_ONCE[move.b % len(_COPIED_AT_ONCE)]
        copy, copied = self._files.create(rotated), 0
        with self._path.open("rb", buffering=0) as log:
            while data := log.read(size):
                self._files.add(rotated, data)
                copied += len(data)
                copy = self._files.contents[self._path].copied(copied)
                self._files.contents[rotated] = copy
                yield f"{rotated.name} has {copied} bytes of the log"
        self._files.empty(self._path, self.writers, copy)
        yield f"the log is emptied; {rotated.name} is its copy"

    def _replace(self) -> Iterator[str]:
        """As editors do: a copy of the log takes its place, and the server is reloaded."""
        self._locked = True
        self.writers[-1].flush()
        self._files.touch(self.writers[-1].descriptor)
        copy, data = self._path.with_name(f".{self._path.name}.copy"), self._path.read_bytes()
        self._files.create(copy, self._files.contents[self._path].copied(len(data)), data)
        yield "there is a copy of the log"
        self._files.rename(copy, self._path)
        self._open(self._path)
        self._close_old()
        self._locked = False
        yield "the copy is in the place of the log"

    def _cut(self) -> Iterator[str]:
        self._files.empty(self._path, self.writers, None)
        yield "the log is emptied, as it was read"

    def _remove(self, move: Move) -> Iterator[str]:
        self._locked = True
        self._finish(self.writers.pop())
        if self._files.contents[self._path].is_committed(self._files.lines):
            self._files.unlink(self._path)
            if move.b % 2:
                yield "the log is deleted, as it was read"
        self._open(self._path)
        self._locked = False
        yield "the server opens its log"

    def _pack(self, move: Move) -> Iterator[str]:
        """As gzip does: both files are there for a while, and mostly of the same time."""
        held = [writer.content for writer in self.writers]
        plain = [p for p in self._names.rotated() if self._files.contents[p] not in held]
        plain = [path for path in plain if path.suffix != ".gz"]
        if not plain:
            return
        path = plain[move.a // 8 % len(plain)]
        packed, content = Path(f"{path}.gz"), self._files.contents[path]
        data = gzip.compress(path.read_bytes(), compresslevel=0, mtime=0)
        half = len(data) // 2
        self._files.create(packed, Content(content.lineage), data[:half])
        yield f"half of {packed.name} is there"
        self._files.add(packed, data[half:])
        self._files.contents[packed] = content
        if move.b % 4:
            written = path.stat().st_mtime_ns
            os.utime(packed, ns=(written, written))
        yield f"{packed.name} is there"
        self._files.unlink(path)
        yield f"{path.name} is deleted, as it is packed"

    def _prune(self) -> Iterator[str]:
        """Deletes the oldest rotated file, if it was read."""
        rotated = self._names.rotated()
        if not rotated:
            return
        content = self._files.contents[rotated[0]]
        held = [writer.content for writer in self.writers]
        if content not in held and content.is_committed(self._files.lines):
            self._files.unlink(rotated[0])
            yield f"{rotated[0].name} is deleted, as it was read"

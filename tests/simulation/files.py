"""The files of a world: real ones, with what is known of each of them kept beside them.

Every change keeps the books: inodes, mtimes of the simulated clock, which lines a file holds.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.simulation.content import Content, Lines, Writer
from tests.simulation.filesystem import FileSystem
from tests.simulation.moves import Scenario
from tests.simulation.scheduler import SimulatedClock


class Files:
    """The files of all logs. contents: what each of them holds, by its path."""

    def __init__(
        self, scenario: Scenario, clock: SimulatedClock, system: FileSystem, lines: Lines
    ) -> None:
        self.contents: dict[Path, Content] = {}
        self.scenario = scenario
        self.clock = clock
        self.system = system
        self.lines = lines
        self._lineages = 0

    def create(self, path: Path, content: Content | None = None, data: bytes = b"") -> Content:
        """Makes a file; it holds this data, or nothing."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        self.system.inodes.created(descriptor)
        os.write(descriptor, data)
        os.close(descriptor)
        self.touch(path)
        self.contents[path] = content or self._empty()
        return self.contents[path]

    def add(self, path: Path, data: bytes) -> None:
        """Adds bytes to a file that no server writes to."""
        with path.open("ab") as file:
            file.write(data)
        self.touch(path)

    def rename(self, path: Path, new: Path) -> None:
        """Renames a file, over another one if that is there."""
        if new.exists():
            self.system.unlinking(new)
        path.rename(new)
        self.contents[new] = self.contents.pop(path)

    def unlink(self, path: Path) -> None:
        """Removes a name; the file itself stays as long as somebody has it open."""
        self.system.unlinking(path)
        path.unlink()
        del self.contents[path]

    def empty(self, path: Path, writers: list[Writer], saved: Content | None) -> None:
        """Cuts everything off. saved: what holds the lines that must still be read, if any."""
        content = self.contents[path]
        kept = {line.number for line, _ in saved.lines} if saved else set()
        for line, _ in content.lines:
            line.must &= saved is None or line.number in kept
        os.truncate(path, 0)
        self.touch(path)
        emptied = self.contents[path] = self._empty()
        for writer in writers:
            if writer.content is content:
                writer.cut_off(emptied)

    def damage(self, path: Path, count: int, writer: Writer) -> None:
        """Fills the last bytes with NULs, as a power failure may; only `writer` has it open."""
        content, size = self.contents[path], path.stat().st_size
        begin = max(0, size - count)
        with path.open("r+b", buffering=0) as file:
            start = file.read(begin)
            file.write(b"\0" * (size - begin))
        self.touch(path)
        for line, end in content.lines:
            line.must &= end <= begin
        content.lines = [entry for entry in content.lines if entry[1] <= begin]
        writer.die()
        unended = start.rpartition(b"\n")[2]
        content.garbage = unended + b"\0" * (size - begin) if unended.strip(b"\0") else b""

    def shorten(self, path: Path) -> None:
        """Removes the last line, once it was read; what takes its place may be missed."""
        content, size = self.contents[path], path.stat().st_size
        content.uncertain = max(content.uncertain, size)
        content.lines.pop()
        os.truncate(path, content.lines[-1][1])
        self.touch(path)

    def writer(self, path: Path) -> Writer:
        """A server that opens a file, and makes it if it is not there."""
        content = self.contents[path] if path.exists() else self.create(path)
        return Writer(str(path), content, self.lines, self.scenario.append)

    def touch(self, file: Path | int) -> None:
        """Gives a file that was written to the time that it is now, as the file system has it."""
        written = self.now_ns()
        os.utime(file, ns=(written, written))

    def now_ns(self) -> int:
        """The time (ns) as this file system has it."""
        grain = self.scenario.grain
        return round(self.clock.now() // grain * grain * 1e9)

    def name(self, content: Content) -> str:
        """What the file that holds this is called now."""
        names = [path.name for path, there in self.contents.items() if there is content]
        return names[0] if names else "a deleted file"

    def _empty(self) -> Content:
        self._lineages += 1
        return Content(self._lineages)

"""One run: the file source in a simulated world, moved by a list of moves, and what came of it.

What the source hands on is taken as the daemon takes it: lines and position are saved together, now
and then. A kill forgets what was not saved; those lines have to come again, and no others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mailbanned.model import Block
from mailbanned.sources import FileSource, Watcher
from mailbanned.sources.file.watcher import Subscription
from tests.simulation.filesystem import FileSystem, Inodes
from tests.simulation.moves import WORLD, Scenario, moves, scenario
from tests.simulation.simulation import Move, Outcome, Run
from tests.simulation.world import World
from tests.sources.rig import Age

#: A file system in memory, on Linux.
_MEMORY = Path("/dev/shm")
#: How long after the last change a line may still be on its way, and a repeated one may still come.
_PATIENCE_S = 60.0
_LINGERING_S = 30.0


class _Hints(Watcher):
    """Wakes the source when the driver says so."""

    def __init__(self) -> None:
        super().__init__()
        self.subscription: Subscription | None = None
        self.pending: bool | None = None  # True: names have changed, too

    def subscribe(self, *directories: str) -> Subscription:
        self.subscription = super().subscribe(*directories)
        return self.subscription

    def deliver(self) -> bool:
        """Wakes the source if there is reason to."""
        names, self.pending = self.pending, None
        if names is None or self.subscription is None:
            return False
        self.subscription.wake(names)
        return True


@dataclass
class _Taken:
    """What was handed on since the last save. last: the newest line of each lineage."""

    numbers: list[int] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)


class FileRun(Run):
    """Plays moves in an empty folder."""

    def __init__(self, folder: Path, scenario: Scenario, moves: Sequence[Move]) -> None:
        super().__init__(
            moves, between_callbacks=False
        )  # calls into the file system are the points
        self._held = _open_files()
        self._system = FileSystem(folder, Inodes(scenario.reused), self.interrupt)
        self._hints = _Hints()
        self._world = World(folder / "logs", scenario, self.clock, self._system, self._changed)
        self.steps = self._world.steps
        self._scenario = scenario
        self._saved, self._taken = _Taken(), _Taken()
        self._committed_at = self._settled_at = 0.0
        self._lost = self._repeated = 0
        self._task: asyncio.Task[None] | None = None
        self._killed = False

    def play(self) -> Outcome:
        """Plays all moves, lets everything settle, and judges."""
        with self._system.installed():
            try:
                self.drive()
            finally:
                self._world.close()
            if left := _open_files() - self._held:
                self.fail(f"files were left open: {', '.join(sorted(left))}")
        lines = len(self._world.lines.committed)
        counts = {"lines": lines, "lost": self._lost, "repeated": self._repeated}
        return Outcome(self.fault, self.steps, counts)

    async def close(self) -> None:
        if self._task is not None:
            self._stop(kill=True)
            await asyncio.wait([self._task])

    # ---- The source -------------------------------------------------------------------------

    def start(self) -> None:
        if self._task is not None:
            return
        self._killed = False
        self._hints = _Hints()
        self._forget()
        source = FileSource(
            "mail",
            self._world.pattern,
            clock=self.clock,
            watcher=self._hints,
            checkpoints=self._saved.marks,
            line_age=Age(),
            chunk_bytes=self._scenario.chunk,
        )
        self.note("START")
        self._task = self.loop.create_task(source.run(self._emit))
        self._task.add_done_callback(self._ended)

    def _stop(self, *, kill: bool) -> None:
        if self._task is None or self._task.cancelling():
            return
        self.note("KILL" if kill else "STOP")
        self._killed = kill
        if kill:
            self._forget()
        self._task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not self._killed:
            self._save()
        if not task.cancelled():
            self.fail(f"the source ended by itself: {task.exception()!r}")

    async def _emit(self, block: Block) -> None:
        await self.loop.pause("emit", lambda: self._take(block))

    def _take(self, block: Block) -> None:
        """A block is handled: its lines count, and the position with them."""
        if self._killed:
            return
        self._taken.marks = dict(block.marks)
        for text in block.data.split(b"\n")[:-1]:
            line = self._world.lines.known.get(text)
            if line is None:
                if text not in self._world.lines.fragments:
                    self.fail(f"a line came that was not written: {text[:40]!r}")
                continue
            if line.number in self._world.lines.committed or line.number in self._taken.numbers:
                self._repeated += 1
                self.fail(f"line {line.number} came again")
            if line.number < self._taken.last.get(line.lineage, 0):
                self.fail(f"line {line.number} came after {self._taken.last[line.lineage]}")
            self._taken.last[line.lineage] = line.number
            self._taken.numbers.append(line.number)

    def _forget(self) -> None:
        """What was taken and not saved is gone."""
        self._taken = _Taken([], dict(self._saved.last), dict(self._saved.marks))

    def _save(self) -> None:
        """A restart will remember what was taken."""
        if self._taken.numbers:
            self._committed_at = self.clock.elapsed
        self._world.lines.committed.update(self._taken.numbers)
        self._saved = self._taken
        self._taken = _Taken([], dict(self._saved.last), self._saved.marks)

    # ---- What happens next ------------------------------------------------------------------

    def _changed(self, names: bool) -> None:
        if self._scenario.hints:
            self._hints.pending = bool(self._hints.pending) or names

    def deliver(self) -> bool:
        return self._hints.deliver()

    def is_running(self) -> bool:
        return self._task is not None

    def is_hurried(self) -> bool:
        return self._killed and self._task is not None  # nothing comes in between

    def may_interrupt(self, move: Move) -> bool:
        together = move.kind == "power failure"  # the source ends with it
        return move.kind in WORLD and not together and super().may_interrupt(move)

    def act(self, move: Move) -> None:
        if move.kind == "wake":
            self._hints.deliver()
        elif move.kind == "save":
            self._save()
        elif move.kind == "start":
            self.start()
        elif move.kind in ("stop", "kill"):
            self._stop(kill=move.kind == "kill")
        elif move.kind == "power failure":
            self._stop(kill=True)
            self._world.act(move)
        else:
            self._world.act(move)

    # ---- The end ----------------------------------------------------------------------------

    def settle(self) -> Iterator[None]:
        """Nothing changes any more: all lines have to come, and none may come again."""
        while self._task is not None and self._task.cancelling():
            self.go_on()
            yield
        self.interrupts.clear()
        self._world.settle()
        self._settled_at = self.clock.elapsed
        yield from self._keep_running(self._is_incomplete)
        self._judge()
        until = self.clock.elapsed + _LINGERING_S
        yield from self._keep_running(lambda: self.clock.elapsed < until)
        yield from self._end_source()
        until = self.clock.elapsed + _LINGERING_S
        yield from self._keep_running(lambda: self.clock.elapsed < until)
        yield from self._end_source()

    def _judge(self) -> None:
        """All lines have had the time to come, without a restart."""
        missing = self._missing()
        self._lost = len(missing)
        if missing:
            self.fail(f"lines that never came: {', '.join(map(str, missing))}")

    def _missing(self) -> list[int]:
        lines = self._world.lines
        must = (line.number for line in lines.known.values() if line.must)
        return sorted(number for number in must if number not in lines.committed)

    def _is_incomplete(self) -> bool:
        if self.clock.elapsed > max(self._committed_at, self._settled_at) + _PATIENCE_S:
            return False
        return bool(self._missing())

    def _keep_running(self, condition: Callable[[], bool]) -> Iterator[None]:
        self.start()
        yield
        while condition():
            self.go_on()
            self._save()
            yield

    def _end_source(self) -> Iterator[None]:
        self._stop(kill=False)
        yield
        while self._task is not None:
            self.go_on()
            yield


def _open_files() -> set[str]:
    """The regular files that this process has open, by descriptor and path."""
    files = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            target = str(descriptor.readlink())
            if target.startswith("/") and not target.startswith(("/dev/", "/proc/")):
                files.add(f"{descriptor.name} {target}")
    return files


class FileSimulation:
    """The file source, each run in an empty folder, in memory where there is a place for that."""

    name = "files"
    counts = ("lines", "lost", "repeated")

    def scenario(self, seed: int) -> Scenario:
        return scenario(seed)

    def moves(self, seed: int) -> list[Move]:
        return moves(seed)

    def play(self, seed: int, moves: Sequence[Move]) -> Outcome:
        with empty_folder() as folder:
            return FileRun(folder, scenario(seed), moves).play()


@contextmanager
def empty_folder() -> Iterator[Path]:
    """A folder for a run, in memory where there is a place for that."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    name = tempfile.mkdtemp(prefix="mailbanned-simulation-", dir=place)
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name)

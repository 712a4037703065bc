"""One run of the journal sources in front of a journal and a journalctl that do as they like.

Whatever happens: every record of the entries that are followed comes, once, in the order of the
journal, soon after trouble is over; trouble is said, and its end; nothing is left behind.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from structlog.testing import capture_logs

from mailbanned.model import Block
from mailbanned.sources import Journalctl, JournalSource
from mailbanned.sources.journal.reader import Limits, Outage
from tests.simulation.driver import empty_folder
from tests.simulation.handed import Handed
from tests.simulation.journals import MOST, Record
from tests.simulation.readings import LAYOUTS, ReadingScenario, moves, scenario
from tests.simulation.simulation import Move, Outcome, Run
from tests.simulation.surroundings import SINCE, Surroundings

#: How long records may be on their way when trouble is over: the longest pause before journalctl
#: is started again, the time that it is given to end, and what is under way.
_PATIENCE_S = 15.0
#: How long they may be on their way at all: until journald tells of them, or until they are seen.
_TOLD_S = 0.35
_AGAIN = "reading the journal again"
_SILENT = "the journal has newer entries"


class JournalRun(Run):
    """Plays moves in an empty folder."""

    def __init__(self, folder: Path, scenario: ReadingScenario, moves: Sequence[Move]) -> None:
        super().__init__(moves)
        self._scenario = scenario
        self._world = Surroundings(folder, scenario, self.clock, self.loop, self.note)
        self._journal, self._host = self._world.journal, self._world.host
        self._handed = Handed(self._journal, self.fail)
        self._layout = scenario.layout
        self._journalctl = self._made()
        self._sources: dict[str, JournalSource] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, asyncio.Event] = {}
        self._stopping = self._killed = False
        self._outage: Outage | None = None
        self._log: list[Any] = []
        self._log_seen = 0

    def play(self) -> Outcome:
        """Plays all moves, lets everything settle, and judges."""
        with ExitStack() as patches:
            self._log = patches.enter_context(capture_logs())
            for target, value in self._patches().items():
                patches.enter_context(patch(target, value))
            try:
                self.drive()
            finally:
                self._journal.close()
        if files := _open_files(self._world.root):
            self.fail(f"{len(files)} files were left open")
        wanted = sum(bool(record.entry) for record in self._journal.records)
        missing = len(self._missing()) if self.fault else 0
        counts = {"records": wanted, "lost": missing, "repeated": self._handed.repeated}
        return Outcome(self.fault, self.steps, counts)

    def _patches(self) -> dict[str, object]:
        return {
            "asyncio.create_subprocess_exec": self._host.start,
            "os.symlink": self._world.disk.symlink,
            "os.mkdir": self._world.disk.mkdir,
            "tempfile.tempdir": str(self._world.temporary),
        }

    # ---- The daemon ---------------------------------------------------------------------------

    def _made(self) -> Journalctl:
        root = self._world.root if self._scenario.woken else None
        limits = Limits(
            chunk_bytes=self._scenario.chunk,
            entry_bytes=MOST,
            max_skipped=self._scenario.passed,
            poll_s=self._scenario.look,
        )
        return Journalctl(self._world.clock, root=root, limits=limits)

    @property
    def _entries(self) -> dict[str, tuple[str, ...]]:
        return LAYOUTS[self._layout]

    def start(self) -> None:
        if self._tasks:
            return
        self.note("START")
        self._stopping = self._killed = False
        self._log.clear()
        self._log_seen = 0
        self._host.programs.clear()
        self._held.clear()
        self._journalctl = self._made()
        self._run("journalctl", self._journalctl.run())
        for name in self._entries:
            self._join(name)

    def _run(self, name: str, work: Any) -> None:
        task = self._tasks[name] = self.loop.create_task(work)
        task.add_done_callback(lambda task: self._ended(name, task))

    def _join(self, name: str) -> None:
        """A source starts at its marks."""
        if self._stopping or not self._tasks or name in self._tasks:
            return
        self.note(f"{name} follows {', '.join(self._entries[name])}")
        self._handed.begin(name)
        source = self._sources[name] = JournalSource(
            name,
            self._entries[name],
            clock=self._world.clock,
            journalctl=self._journalctl,
            cursors=self._handed.marks(self._entries[name]),
            since=SINCE,
            quiet_s=self._scenario.silent,
        )
        self._run(name, source.run(self._emit))

    def _leave(self, name: str) -> None:
        """A source is no longer needed."""
        if not self._stopping and name in self._tasks and not self._tasks[name].cancelling():
            self.note(f"{name} is stopped")
            self._tasks[name].cancel()

    def _stop(self, *, kill: bool) -> None:
        if not self._tasks or (self._stopping and not kill) or self._killed:
            return
        self.note("KILL" if kill else "STOP")
        self._stopping, self._killed = True, kill
        if kill:
            self._handed.forget()
            for program in self._host.programs:
                program.end(-9, "")
        for task in self._tasks.values():
            task.cancel()

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        was_asked = self._stopping or task.cancelling()
        del self._tasks[name]
        if not task.cancelled() or not was_asked:
            problem = None if task.cancelled() else task.exception()
            self.fail(f"{name} ended by itself: {problem!r}")
        if not self._tasks:
            self._over()

    def _over(self) -> None:
        """The daemon has ended."""
        self.note("ended")
        if not self._killed:
            self._handed.save()
        if any(program.is_left() for program in self._host.programs):
            self.fail("a journalctl was left running")
        if left := os.listdir(self._world.temporary):  # noqa: PTH208 - it is called very often
            self.fail(f"{len(left)} folders were left behind")
        tasks = {task.get_coro().__name__ for task in asyncio.all_tasks(self.loop)}  # type: ignore[union-attr]
        if tasks - {"_until_the_end"}:
            self.fail(f"tasks were left: {', '.join(sorted(tasks))}")

    async def _emit(self, block: Block) -> None:
        if block.source in self._held:
            await self._held[block.source].wait()
        await self.loop.pause(f"emit {block.source}", lambda: self._take(block))

    def _take(self, block: Block) -> None:
        if not self._killed:
            self._handed.take(block, self._entries[block.source])

    # ---- What must always hold ----------------------------------------------------------------

    def check(self) -> None:
        self._check_silence()
        if len(self._host.following()) > 1:
            self.fail("two follow the journal at the same time")
        if any(share.batches.qsize() > 1 for share in self._journalctl._subscriptions):
            self.fail("more than one batch waits for a source")
        if self._stopping or not self._sources_run() or self.loop.work or self._held:
            return
        if self._journalctl.outage is not self._outage:
            self._outage = self._journalctl.outage
            self._check_states()
        programs = [program for program in self._host.programs if program.follows]
        if all(program.is_over() for program in programs):
            self._check_outage()

    def _check_states(self) -> None:
        for name, source in self._sources.items():
            state = source.state()
            if name in self._tasks and (state.state == "down") != bool(self._outage):
                self.fail(f"the state of {name} is not that of journalctl: {state}")

    def _sources_run(self) -> bool:
        return any(name in self._tasks and not self._tasks[name].cancelling()
                   for name in self._entries)  # fmt: skip

    def _check_outage(self) -> None:
        """None that follows runs, and nothing is under way."""
        outage = self._journalctl.outage
        if outage is None:
            self.fail("journalctl does not run, and that is not said")
        elif self._host.trouble not in outage.text:
            self.fail(f"another trouble is said: {outage.text}, not {self._host.trouble}")
        else:
            said = [entry["event"] for entry in self._log if _is_of_outages(entry)]
            if not said or said[-1] != outage.text:
                self.fail(f"an outage is not in the log: {outage.text}")

    def _check_silence(self) -> None:
        """Whoever is said to be without records has some that did not come."""
        for entry in self._log[self._log_seen :]:
            if entry["log_level"] == "warning":
                self.note(f"it says: {entry['event'][:150]}")
            if entry["event"].startswith(_SILENT):
                followed = self._entries[entry["source"]]
                if not any(
                    record.owner in followed and not self._handed.has(record)
                    for record in self._journal.records
                ):
                    self.fail(f"{entry['source']} is said to lack records, and has them all")
        self._log_seen = len(self._log)

    # ---- What happens -------------------------------------------------------------------------

    def is_running(self) -> bool:
        """Without sources, there is nothing to wait for."""
        return self._is_up() and (self._stopping or len(self._tasks) > 1)

    def _is_up(self) -> bool:
        return bool(self._tasks)

    def is_hurried(self) -> bool:
        return self._killed and bool(self._tasks)

    def deliver(self) -> bool:
        return self._world.happen(self.pause)

    def act(self, move: Move) -> None:
        if move.kind == "start":
            self.start()
        elif move.kind in ("stop", "kill"):
            self._stop(kill=move.kind == "kill")
        elif move.kind == "save":
            self._handed.save()
        elif move.kind == "regroup":
            self._regroup(move.a)
        elif move.kind == "reboot":
            lost = move.b % 10 if move.a % 3 == 0 else 0
            self._world.reboot(lambda: self._stop(kill=True), lost)
        elif move.kind in ("join", "leave", "hold", "release"):
            self._move_source(move)
        else:
            self._world.act(move)

    def _regroup(self, choice: int) -> None:
        """Entries change places between sources, while the daemon does not run."""
        if not self._tasks:
            self._layout = choice % len(LAYOUTS)

    def _move_source(self, move: Move) -> None:
        name = list(self._entries)[move.a % len(self._entries)]
        if move.kind == "join":
            self._join(name)
        elif move.kind == "leave":
            self._leave(name)
        elif move.kind == "hold" and name not in self._held:
            self.note(f"who takes the lines of {name} is slow")
            self._held[name] = asyncio.Event()
        elif move.kind == "release" and name in self._held:
            self.note(f"who takes the lines of {name} goes on")
            self._held.pop(name).set()

    # ---- The end ------------------------------------------------------------------------------

    def settle(self) -> Iterator[None]:
        """Nothing is in the way any more: all records have to come, and none may come again."""
        yield from self.go_on_while(lambda: self._stopping and bool(self._tasks))
        self.interrupts.clear()
        self._world.heal()
        for event in self._held.values():
            event.set()
        self._held.clear()
        yield from self.go_on_while(lambda: any(task.cancelling() for task in self._tasks.values()))
        self.start()
        for name in self._entries:
            self._join(name)
        yield
        yield from self._wait_until(self._has_all, _PATIENCE_S)
        self._judge()
        yield from self._wait(1.0)
        yield from self._judge_speed()
        if self._scenario.hangs:
            yield from self._judge_hanging()
        for _ in range(2):
            self._stop(kill=False)
            yield from self.go_on_while(self._is_up)
            self.start()
            yield
            yield from self._wait(1.0)
        self._stop(kill=False)
        yield from self.go_on_while(self._is_up)
        if self.loop.work:
            self.fail(f"still under way at the end: {self.loop.work[0].label}")

    def _judge(self) -> None:
        if missing := self._missing():
            numbers = ", ".join(str(record.number) for record in missing)
            self.fail(f"records that never came: {numbers}")
        for name, source in self._sources.items():
            state = source.state()
            if name in self._tasks and (state.state == "down" or state.detail):
                self.fail(f"the state is not well: {state}")
        said = [entry["event"] for entry in self._log if _is_of_outages(entry)]
        if said and said[-1] != _AGAIN:
            self.fail("the end of an outage was not said")

    def _judge_speed(self) -> Iterator[None]:
        """A record that is written now comes as soon as it can."""
        program = self._host.following()[-1:]
        is_early = bool(program) and program[0].is_woken_early()
        limit = 2 * self._scenario.look if is_early else _TOLD_S
        for _ in range(2):
            self._world.write_some()
            yield from self._wait_until(self._has_all, limit + 0.01)
            if self._missing():
                self.fail(f"a record did not come within {limit} s")

    def _judge_hanging(self) -> Iterator[None]:
        """A journalctl that hangs is found out, and exchanged."""
        silent = self._scenario.silent
        if silent > 100:
            return
        self._world.hang()
        self._world.write_all()
        # It is asked after that time, and again when the records have been there for a while.
        longest = max(silent, 60.0) * 1.5 + _PATIENCE_S
        yield from self._wait_until(self._has_all, longest)
        self._judge()
        if not any(entry["event"].startswith(_SILENT) for entry in self._log):
            self.fail("it was not said that records do not come")

    def _missing(self) -> list[Record]:
        return [record for record in self._journal.records if self._lacks(record)]

    def _has_all(self) -> bool:
        """Whether all records have come; the newest ones are the last to do so."""
        return not any(map(self._lacks, reversed(self._journal.records)))

    def _lacks(self, record: Record) -> bool:
        """Whether a record has to come and has not."""
        is_wanted = any(record.entry in entries for entries in self._entries.values())
        return is_wanted and not record.gone and not self._handed.has(record)

    def _wait(self, seconds: float) -> Iterator[None]:
        until = self.clock.elapsed + seconds
        yield from self._wait_until(lambda: self.clock.elapsed >= until, seconds)

    def _wait_until(self, condition: Callable[[], bool], seconds: float) -> Iterator[None]:
        until = self.clock.elapsed + seconds
        while not condition() and self.clock.elapsed < until:
            self.go_on()
            yield

    async def close(self) -> None:
        if self._tasks:
            self._stop(kill=True)
            await asyncio.wait(list(self._tasks.values()))


def _is_of_outages(entry: Any) -> bool:
    event: str = entry["event"]
    return event == _AGAIN or "; restarting it; check" in event


def _open_files(folder: Path) -> list[str]:
    """What this process has open in a folder."""
    files = []
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with suppress(OSError):
            files.append(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
    return [path for path in files if path.startswith(str(folder))]


class JournalSimulation:
    """The journal sources, each run in an empty folder, in memory where that can be."""

    name = "journal"
    counts = ("records", "lost", "repeated")

    def scenario(self, seed: int) -> ReadingScenario:
        return scenario(seed)

    def moves(self, seed: int) -> list[Move]:
        return moves(seed)

    def play(self, seed: int, moves: Sequence[Move]) -> Outcome:
        with empty_folder() as folder:
            return JournalRun(folder, scenario(seed), moves).play()

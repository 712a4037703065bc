"""What loggers, logrotate, gzip and administrators do to logs, in single steps.

Only what no reader could survive is left out: a log is not rotated before its first line was read,
lines are not cut off or deleted before they were read, and a file is not packed while a server
writes into it. "Read" means: a restart would remember it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.simulation.content import Lines
from tests.simulation.files import Files
from tests.simulation.filesystem import FileSystem
from tests.simulation.logs import Log
from tests.simulation.moves import Scenario
from tests.simulation.scheduler import SimulatedClock
from tests.simulation.simulation import Move

_PAUSES = (0.0, 0.0, 0.001, 0.01, 0.05, 0.3, 1.5)
_MOST_LOGS = 3


class World:
    """The logs of one run.

    steps: what has happened, for the report of a run that fails.
    changed: called after each step; True if names changed.
    """

    def __init__(
        self,
        folder: Path,
        scenario: Scenario,
        clock: SimulatedClock,
        system: FileSystem,
        changed: Callable[[bool], None],
    ) -> None:
        self.lines = Lines()
        self.logs: list[Log] = []
        self.steps: list[str] = []
        self._folder = folder
        self._scenario = scenario
        self._clock = clock
        self._system = system
        self._files = Files(scenario, clock, system, self.lines)
        self._changed = changed
        self._jobs: dict[Log, Iterator[str]] = {}
        self._folder.mkdir()
        self._add_log()

    @property
    def pattern(self) -> str:
        """What the source is to follow."""
        return str(self._folder / ("*.log" if self._scenario.glob else "mail.log"))

    def _add_log(self) -> Log:
        name = "mail.log" if not self.logs else f"mail{len(self.logs)}.log"
        log = Log(self._folder / name, self._files)
        self.logs.append(log)
        return log

    def act(self, move: Move) -> None:
        """Makes a move, if it can be made now."""
        with self._system.for_the_world():
            step = self._act(move)
            if step:
                self._clock.elapsed += _PAUSES[move.b // 7 % len(_PAUSES)]
                self.steps.append(f"{self._clock.elapsed:9.3f} {step}")
                if move.kind != "write":
                    self._system.names_changed = self._files.now_ns()
                self._changed(move.kind != "write")

    def _act(self, move: Move) -> str:
        if move.kind == "show":
            return self._show()
        if self._hidden.exists():
            return ""
        if move.kind == "hide":
            self._folder.rename(self._hidden)
            return "the folder is gone"
        log = self._pick(move)
        if move.kind == "write":
            return log.write(move)
        if move.kind in ("refuse", "allow"):
            return log.refuse(refused=move.kind == "refuse")
        if move.kind in ("power failure", "shorten"):
            if log in self._jobs:
                return ""
            return log.shorten() if move.kind == "shorten" else log.power_failure(move)
        if move.kind != "go on" and log not in self._jobs:
            job = log.begin(move)
            if job is not None:
                self._jobs[log] = job
        return self._go_on(log)

    def _pick(self, move: Move) -> Log:
        """The log that a move is about; now and then a new one appears."""
        if self._scenario.glob and len(self.logs) < _MOST_LOGS and move.a % 16 == 5:
            return self._add_log()
        return self.logs[move.a % len(self.logs)]

    def _go_on(self, log: Log) -> str:
        """The next step of what is being done to a log."""
        job = self._jobs.get(log)
        if job is None:
            return ""
        step = next(job, "")
        if not step:
            del self._jobs[log]
        return step

    @property
    def _hidden(self) -> Path:
        return self._folder.with_name(".hidden")

    def _show(self) -> str:
        if not self._hidden.exists():
            return ""
        self._hidden.rename(self._folder)
        return "the folder is back"

    def settle(self) -> None:
        """Everything that was begun comes to its end; nothing more is written after that."""
        with self._system.for_the_world():
            self._show()
            for log in self.logs:
                while self._go_on(log):
                    pass
                log.refuse(refused=False)
                log.settle()
            self._changed(True)

    def close(self) -> None:
        """Closes what is open."""
        for log in self.logs:
            log.close()

"""Everything round the journal sources: their host's clock, disk, journal and programs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.simulation.journals import MESSAGES, SERVICES, Disk, Journal, Record
from tests.simulation.programs import ENDS, REFUSALS, Host, Program
from tests.simulation.readings import ReadingScenario
from tests.simulation.scheduler import EPOCH, SimulatedClock, SimulatedLoop
from tests.simulation.simulation import Move

#: Where sources begin without a mark.
SINCE = EPOCH - 2000
#: By how much the clock is set.
_STEPS = (-900.0, -30.0, -0.5, 0.5, 30.0, 900.0)


class HostClock:
    """The clock of the host. skew: by how much it was set."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.skew = 0.0
        self._clock = clock

    def now(self) -> float:
        return self._clock.now() + self.skew

    def monotonic(self) -> float:
        return self._clock.monotonic()


class Surroundings:
    """A host with a journal in an empty folder; all that happens to them is noted down."""

    def __init__(
        self,
        folder: Path,
        scenario: ReadingScenario,
        clock: SimulatedClock,
        loop: SimulatedLoop,
        note: Callable[[str], None],
    ) -> None:
        self.clock = HostClock(clock)
        self.temporary, self.root = folder / "tmp", folder / "root"
        self.temporary.mkdir()
        self.root.mkdir()
        self.disk = Disk(self.temporary)
        self.journal = Journal(self.root, self.clock, self.disk)
        self.host = Host(loop, self.journal, self.disk, note)
        self.host.room = scenario.room
        self._simulated = clock
        self._note = note
        self._write_old(scenario.old)

    def _write_old(self, count: int) -> None:
        """What was written before the daemon ran for the first time."""
        for number in range(count):
            age = 3000.0 if number < 3 else 1500.0 - number
            record = self.journal.write(SERVICES[number % len(SERVICES)], 0, age)
            if age > EPOCH - SINCE:
                record.entry = record.owner = ""  # it is before the time from which lines are read

    def happen(self, pause: float | None) -> bool:
        """What would happen first by itself; False if that is not before `pause` is over."""
        if any(program.go_on() for program in self.host.programs):
            return True
        due = self.journal.noticed_at
        if due is None or (pause is not None and due > self._simulated.elapsed + pause):
            return False
        self._simulated.elapsed = max(due, self._simulated.elapsed)
        self.journal.noticed_at = None
        for program in self.host.programs:
            program.notified()
        return True

    def act(self, move: Move) -> None:
        """Makes a move, if it can be made now."""
        if move.kind == "write":
            message = move.b % len(MESSAGES) if move.b % 3 == 0 else 0
            self._write(move.a, message)
        elif move.kind == "burst":
            for number in range(move.b % 25):
                self._write(move.a + number * (move.b % 3))
        elif move.kind == "clock":
            self._set_clock(_STEPS[move.a % len(_STEPS)])
        elif move.kind in ("rotate", "series", "vacuum", "move", "hide", "show"):
            self._move_journal(move)
        elif move.kind in ("refuse", "fail", "allow", "full", "room", "sweep"):
            self._move_host(move)
        else:
            self._move_program(move)

    def _write(self, service: int, message: int = 0) -> None:
        record = self.journal.write(SERVICES[service % len(SERVICES)], message)
        self._note_record(record)

    def _note_record(self, record: Record) -> None:
        self._note(f"record {record.number} of {record.owner or 'others'}: {record.cursor[:30]}")

    def _set_clock(self, seconds: float) -> None:
        if abs(self.clock.skew + seconds) < EPOCH - SINCE and self.journal.may_set(seconds):
            self._note(f"the clock is set by {seconds}")
            self.clock.skew += seconds

    def reboot(self, kill: Callable[[], None], lost: int) -> None:
        """The host is started again. kill: ends the daemon. lost: how many records were not yet
        on its disk.
        """
        if self.journal.reboot():
            self._note("the host is started again")
            kill()
            if lost:
                self._note(f"{self.journal.tear(lost)} records were not on the disk")

    def _move_journal(self, move: Move) -> None:
        journal = self.journal
        if move.kind == "rotate":
            journal.rotate()
        elif move.kind == "series" and journal.begin_series():
            self._note("the journal begins a new series")
        elif move.kind == "vacuum":
            self._note(f"{journal.vacuum((0.2, 0.7, 1.0)[move.a % 3])} records are vacuumed")
        elif move.kind == "move":
            journal.move(move.a % 2)
            self._note(f"the journal moves, {'here' if move.a % 2 else 'there'}")
        elif move.kind in ("hide", "show"):
            journal.hide(move.kind == "hide")

    def _move_host(self, move: Move) -> None:
        host = self.host
        self._note(f"{move.kind}")
        if move.kind == "refuse":
            host.refusal = REFUSALS[move.a % len(REFUSALS)]
        elif move.kind == "fail":
            host.failing = ENDS[move.a % len(ENDS)]
        elif move.kind == "allow":
            host.refusal, host.failing = 0, None
        elif move.kind in ("full", "room"):
            self.disk.full = move.kind == "full"
        elif move.kind == "sweep":
            for path in self.temporary.iterdir():
                shutil.rmtree(path)

    def _move_program(self, move: Move) -> None:
        alive = [program for program in self.host.programs if not program.is_over()]
        if not alive:
            return
        program = alive[move.a % len(alive)]
        status, words = ENDS[move.b % len(ENDS)]
        moves: dict[str, Callable[[Program], object]] = {
            "look": Program.look,
            "say": lambda program: program.say(1 + move.b % 3000),
            "end": lambda program: program.end(status, words, move.b // 8),
            "notice": Program.notice,
        }
        if move.kind in moves:
            moves[move.kind](program)
        elif program.alive:
            self._note(f"journalctl {program.number}: {move.kind}")
            if move.kind == "heedless":
                program.heedless = True
            else:
                program.stuck = move.kind == "stick"

    def heal(self) -> None:
        """Nothing is in the way any more."""
        self._note("all is well from now on")
        self.host.refusal, self.host.failing, self.disk.full = 0, None, False
        self.journal.hide(False)
        for program in self.host.programs:
            program.stuck = False
        self.write_all()

    def hang(self) -> None:
        """The journalctl that follows does nothing any more."""
        for program in self.host.following():
            self._note(f"journalctl {program.number} hangs")
            program.stuck = True

    def write_all(self) -> None:
        """Writes a record for each entry."""
        for service in (0, 2, 4, 5):
            self._write(service)

    def write_some(self) -> None:
        """Writes a record of a service."""
        self._write(2)

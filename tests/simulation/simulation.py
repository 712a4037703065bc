"""What every simulation has: moves, a run that is driven by them, and an outcome.

A simulation makes a list of moves from a seed and plays it, or any part of it: each move stands for
itself, and one that makes no sense at the moment does nothing. So a failing run can be shortened.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar, NamedTuple, Protocol

from tests.simulation.scheduler import SimulatedClock, SimulatedLoop


class Move(NamedTuple):
    """What happens next.

    kind: what it is; a and b say more, and mean something else for each kind.
    depth: 0: it happens while all tasks wait. N: just before the Nth point from then on at which
        something may come in between (see Run.interrupt).
    """

    kind: str
    a: int = 0
    b: int = 0
    depth: int = 0


@dataclass
class Outcome:
    """What came of a run.

    fault: "" if all was well. steps: what happened, for a reader.
    counts: figures of this simulation that are added up over many runs, by name.
    """

    fault: str
    steps: list[str]
    counts: Mapping[str, int] = field(default_factory=dict)


class Simulation(Protocol):
    """A kind of run that a seed decides."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    @property
    def counts(self) -> tuple[str, ...]:
        """The names of the figures in an Outcome, in the order in which they are shown."""
        ...

    def scenario(self, seed: int) -> object:
        """What holds for the whole run of a seed."""
        ...

    def moves(self, seed: int) -> list[Move]:
        """The moves of a seed."""
        ...

    def play(self, seed: int, moves: Sequence[Move]) -> Outcome:
        """Plays moves in the scenario of a seed."""
        ...


#: How often each kind of move of the scheduler is drawn; see Run.
SCHEDULING = {"run": 30, "perform": 6, "arrive": 6, "tick": 4}


def draw(seed: int, weights: Mapping[str, int], length: int, deep: Collection[str]) -> list[Move]:
    """The moves of a seed. weights: how often each kind is drawn. deep: those with a depth."""
    chance = random.Random(f"moves {seed}")
    kinds = chance.choices(list(weights), list(weights.values()), k=length)
    size = 1 << 16
    depths = [0, 0, 0, 0, 1, 2, 3, 5, 8, 13]
    return [
        Move(
            kind,
            chance.randrange(size),
            chance.randrange(size),
            chance.choice(depths) if kind in deep else 0,
        )
        for kind in kinds
    ]


class StuckError(Exception):
    """A run cannot be ended."""


class Run(ABC):
    """One run: makes one move after the other, then lets everything settle.

    Moves that every run knows: "run" (so many steps of what would happen first), "perform" and
    "arrive" (a piece of work happens; its result arrives), "tick" (time passes).

    ticks: how much time may pass. steps: what has happened. fault: the first one, "" if none.
    pause: seconds until the next timer is due, None if there is none.
    interrupts: the moves that wait for their point.
    """

    ticks: ClassVar[tuple[float, ...]] = (0.01, 0.06, 0.5, 2.0, 11.0)
    #: How many things may happen before the code under test waits for a timer.
    most_at_once: ClassVar[int] = 5000
    #: For how many seconds nothing may happen, at most.
    longest_quiet: ClassVar[float] = inf

    def __init__(self, moves: Sequence[Move], *, between_callbacks: bool = True) -> None:
        """between_callbacks: whether each round of callbacks is a point for moves with a depth."""
        self.clock = SimulatedClock()
        between = self.interrupt if between_callbacks else lambda: None
        self.loop = SimulatedLoop(self.clock, self._decide, between)
        self.loop.set_exception_handler(self._unhandled)
        self.steps: list[str] = []
        self.fault = ""
        self.pause: float | None = None
        self._moves = list(reversed(moves))
        self._left = 0  # how many steps the last "run" asked for
        self.interrupts: list[tuple[int, Move]] = []
        self._points = 0
        self._restless = 0
        self._finale = self._settle()
        self._end: Any = self.loop.create_future()

    def drive(self) -> None:
        """Makes all moves, lets everything settle, and ends what runs."""
        try:
            self.loop.run(self._until_the_end())
        except StuckError:
            self.fail("it does not end when it is cancelled")

    async def _until_the_end(self) -> None:
        self.start()
        await self._end
        await self.close()

    def fail(self, why: str) -> None:
        """The run has shown a fault, and ends; the first fault counts."""
        self.fault = self.fault or why
        self.interrupts.clear()
        if not self._end.done():
            self._end.set_result(None)

    def note(self, step: str) -> None:
        """Writes down what happens, for the report of a run that fails."""
        self.steps.append(f"{self.clock.elapsed:9.3f} {step}")

    def interrupt(self) -> None:
        """Something may come in between here: the moves whose depth is reached are made."""
        if not self.interrupts:
            return
        self._points += 1
        due = [move for point, move in self.interrupts if point <= self._points]
        self.interrupts = [entry for entry in self.interrupts if entry[0] > self._points]
        for move in due:
            self._make(move)

    def go_on(self) -> None:
        """What would happen first if nothing was in the way."""
        self._restless += 1
        if self._restless > self.most_at_once:
            self.fail("it never comes to rest")
            if self._restless > 2 * self.most_at_once:
                raise StuckError
        if self.loop.work:
            self.loop.finish(self.loop.work[0])
        elif self.deliver():
            pass
        elif self.pause is not None:
            self.clock.elapsed += min(self.pause, self.longest_quiet)
            self._left = self._restless = 0  # a quiet time is one step
        elif self._end.done():
            raise StuckError
        elif self.is_running():
            self.fail("it waits for something that never comes")

    def go_on_while(self, condition: Callable[[], bool]) -> Iterator[None]:
        """For `settle`: what happens first, as long as the condition holds."""
        while condition():
            self.go_on()
            yield

    # ---- What a simulation adds ---------------------------------------------------------------

    @abstractmethod
    def start(self) -> None:
        """Starts the code under test."""

    @abstractmethod
    def is_running(self) -> bool:
        """Whether the code under test runs."""

    @abstractmethod
    def act(self, move: Move) -> None:
        """Makes a move of the simulation's own, if it can be made now."""

    @abstractmethod
    def settle(self) -> Iterator[None]:
        """Nothing changes any more. Each step lets one thing happen; the last one judges."""

    @abstractmethod
    async def close(self) -> None:
        """Ends whatever still runs."""

    def deliver(self) -> bool:
        """Lets something happen that is due and is no piece of work; False if there is nothing."""
        return False

    def is_hurried(self) -> bool:
        """Whether nothing else may happen now: a process that was killed ends."""
        return False

    def may_interrupt(self, move: Move) -> bool:
        """Whether a move with a depth waits for it now."""
        return move.depth > 0 and self.is_running()

    def check(self) -> None:  # noqa: B027 - not every simulation has one
        """Called whenever all tasks wait: what must always hold."""

    # ---- What happens next --------------------------------------------------------------------

    def _decide(self, pause: float | None) -> None:
        """All tasks wait: something has to happen."""
        self.pause = pause
        self.check()
        if self._end.done() or self.is_hurried():
            self.go_on()
        elif self._left:
            self._left -= 1
            self.go_on()
        elif self._moves:
            move = self._moves.pop()
            if self.may_interrupt(move):
                self.interrupts.append((self._points + move.depth, move))
            else:
                self._make(move)
        else:
            next(self._finale)

    def _make(self, move: Move) -> None:
        work = self.loop.work
        if move.kind == "run":
            self._left = move.a % 30
        elif move.kind == "perform":
            waiting = [piece for piece in work if not piece.performed]
            if waiting:
                waiting[move.a % len(waiting)].happen()
        elif move.kind == "arrive":
            if work:
                self.loop.finish(work[move.a % len(work)])
        elif move.kind == "tick":
            self.clock.elapsed += self.ticks[move.a % len(self.ticks)]
        else:
            self.act(move)

    def _settle(self) -> Iterator[None]:
        yield from self.settle()
        if not self._end.done():
            self._end.set_result(None)
        yield

    def _unhandled(self, _loop: object, context: dict[str, Any]) -> None:
        self.fail(f"asyncio says: {context['message']} {context.get('exception')!r}")

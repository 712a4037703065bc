"""An event loop that is driven by decisions instead of time and threads.

Code under test runs as it is: tasks, timeouts, threads of an executor. But nothing goes on by
itself. Whenever all tasks wait, the loop asks its driver, who lets one thing happen: a piece of
work is performed, its result arrives, the clock moves, or the world outside changes.

Known limits: no sockets, signals or child processes; the order in which callbacks run that are
ready at the same moment is asyncio's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

#: When simulated time begins: 2026-05-01 04:00 UTC.
EPOCH = 1_777_608_000.0


class SimulatedClock:
    """A mailbanned.clock.Clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return EPOCH + self.elapsed

    def monotonic(self) -> float:
        """Seconds since the run began."""
        return self.elapsed


@dataclass(eq=False)
class Work:
    """Something that a task waits for, and that happens when the driver says so.

    perform: what happens then; its result, or the exception that it raises, is what the task gets.
    """

    label: str
    perform: Callable[[], object]
    arrived: asyncio.Future[Any]
    performed: bool = False
    _deliver: Callable[[], None] = field(default=lambda: None)

    def happen(self) -> None:
        """Performs the work; the task does not know of it yet."""
        self.performed = True
        arrived = self.arrived
        try:
            result = self.perform()
        except Exception as error:  # whatever the code under test raises is its own business
            failure = error
            self._deliver = lambda: arrived.set_exception(failure)
        else:
            self._deliver = lambda: arrived.set_result(result)

    def arrive(self) -> None:
        """The task gets the result, unless it gave up waiting."""
        if not self.performed:
            self.happen()
        if not self.arrived.done():
            self._deliver()
            self.arrived.exception()  # a task that is cancelled now never looks at it


class SimulatedLoop(asyncio.BaseEventLoop):
    """Asks `decide(pause)` what happens next whenever no task can go on.

    pause: seconds until the next timer is due; None if there is none.
    between: called before each round of callbacks that are ready: something may come in between.
    work: what tasks wait for, oldest first. Work that a task gave up stays, as a thread would.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        decide: Callable[[float | None], None],
        between: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.work: list[Work] = []
        self._clock = clock
        self._decide = decide
        self._between = between
        self._selector = self  # the part of BaseEventLoop that would wait for sockets

    def time(self) -> float:
        return self._clock.elapsed

    def select(self, timeout: float | None) -> list[object]:
        """Called by BaseEventLoop when it would wait that long for events of sockets."""
        if timeout is None or timeout > 0:
            self._decide(timeout)
        else:
            self._between()
        return []

    def _process_events(self, events: list[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nothing runs beside the loop that it would have to be woken for."""

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """What a thread would do is done when the driver says so."""
        name = getattr(getattr(func, "func", func), "__name__", "work")
        return self.request(name, lambda: func(*args))

    async def pause(self, label: str, perform: Callable[[], T]) -> T:
        """For fakes: waits until the driver lets this happen; never, if the wait is cancelled."""
        arrived = self.request(label, perform)
        try:
            result: T = await arrived
        finally:
            self.work = [work for work in self.work if work.arrived is not arrived]
        return result

    def request(self, label: str, perform: Callable[[], object]) -> asyncio.Future[Any]:
        """For fakes: as `pause`, but it happens although the wait is cancelled."""
        work = Work(label, perform, self.create_future())
        self.work.append(work)
        return work.arrived

    def finish(self, work: Work) -> None:
        """Lets a piece of work happen, if it has not yet, and its result arrive."""
        self.work.remove(work)
        work.arrive()

    def run(self, main: Awaitable[T]) -> T:
        """Runs until `main` is done; the loop is closed then."""
        asyncio.set_event_loop(None)
        try:
            return self.run_until_complete(main)
        finally:
            self.close()

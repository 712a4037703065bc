"""One run of the account cache in front of a database that is slow, fails, or does not answer.

Whatever happens: every question has an answer within a bounded time, the answer is true or was true
a short while ago, "cannot tell" comes only in trouble, and the database is left in peace then.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mailbanned.accounts import AccountsDown, CachedAccounts
from mailbanned.accounts.cache import MAX_QUERIES, RETRY_AFTER_S
from tests.simulation.scheduler import SimulatedClock, SimulatedLoop
from tests.simulation.simulation import SCHEDULING, Move, Outcome, Run, draw

_NAMES = [f"user{number}@example.org" for number in range(16)]
#: Known to the database, which cannot compare it.
_STRANGE = "ünïcode@example.org"
_KNOWN_FOR, _UNKNOWN_FOR = 300.0, 30.0
_TIMEOUT_S = 5.0
_CLOSE = 1e-6

_ACTS = {
    "ask": 40,
    "crowd": 3,
    "age": 2,
    "leave": 4,
    "create": 4,
    "delete": 4,
    "fail": 8,
    "down": 2,
    "up": 4,
    "close": 2,
}


class CacheScenario(NamedTuple):
    """What holds for a whole run. size: how many answers are remembered."""

    size: int


class Database:
    """The database.

    accounts: the truth, with all that it was before: for each name, since when it was what.
    up: whether it answers. mood: as Host.mood. running: names that are being asked for.
    wrong: called for a broken promise. is_down: whether the cache says so.
    """

    name = "simulated"

    def __init__(self, loop: SimulatedLoop, clock: SimulatedClock) -> None:
        self.accounts: dict[str, list[tuple[float, bool]]] = {
            name: [(0.0, place % 2 == 0)] for place, name in enumerate(_NAMES)
        }
        self.up = True
        self.mood = ""
        self.running: list[str] = []
        self.closed = False
        self.wrong: Callable[[str], None] = lambda _: None
        self.is_down: Callable[[], bool] = lambda: False
        self._loop = loop
        self._clock = clock
        self._quiet_until = 0.0

    def begin(self) -> None:
        """A new cache is in front of it."""
        self.closed = False
        self._quiet_until = 0.0

    def change(self, name: str, exists: bool) -> None:
        """An account is created or deleted."""
        self.accounts[name].append((self._clock.elapsed, exists))

    def was(self, name: str, answer: bool, seconds: float) -> bool:
        """Whether the answer is true, or was at any time in the last seconds."""
        since = self._clock.elapsed - seconds - _CLOSE
        history = self.accounts[name]
        ends = [at for at, _ in history[1:]] + [float("inf")]
        return any(end >= since for (_, truth), end in zip(history, ends, strict=True)
                   if truth == answer)  # fmt: skip

    async def exists(self, user: str) -> bool | None:
        self._judge(user)
        self.running.append(user)
        try:
            answer: bool | None = await self._loop.request(user, lambda: self._answer(user))
        except (AccountsDown, asyncio.CancelledError):
            self._quiet_until = self._clock.elapsed + RETRY_AFTER_S
            raise
        else:
            self._quiet_until = 0.0
            return answer
        finally:
            self.running.remove(user)

    def _judge(self, user: str) -> None:
        """Whether the cache may ask now."""
        if self.closed:
            self.wrong("a query after the end")
        if user in self.running:
            self.wrong(f"asked twice at the same time: {user}")
        if len(self.running) >= MAX_QUERIES:
            self.wrong("too many queries at the same time")
        if self._clock.elapsed < self._quiet_until - _CLOSE:
            self.wrong("the database is not left in peace")
        if self.is_down():
            self._quiet_until = self._clock.elapsed + RETRY_AFTER_S

    def _answer(self, user: str) -> bool | None:
        if not self.up or self.mood:
            raise AccountsDown("no connection")
        return self.accounts[user][-1][1] if user in self.accounts else None

    async def close(self) -> None:
        if self.running:
            self.wrong("closed while queries run")
        await self._loop.pause("close", lambda: None)
        self.closed = True


@dataclass(eq=False)
class _Question:
    """asked: when. began: whether the cache has it. was_down: the cache was when it was asked."""

    name: str
    asked: float
    failures: int
    was_down: bool
    began: bool = False
    task: asyncio.Task[None] = field(init=False)


class CacheRun(Run):
    """Plays moves on a simulated database."""

    ticks = (0.01, 0.3, 0.6, 1.0, 4.0)

    def __init__(self, scenario: CacheScenario, moves: Sequence[Move]) -> None:
        super().__init__(moves)
        self._size = scenario.size
        self._database = Database(self.loop, self.clock)
        self._database.wrong = self.fail
        self._database.is_down = lambda: self._accounts.state().state == "down"
        self._accounts = self._made()
        self._questions: list[_Question] = []
        self._closing: asyncio.Task[None] | None = None

    def play(self) -> Outcome:
        """Plays all moves, lets everything settle, and judges."""
        self.drive()
        return Outcome(self.fault, self.steps)

    def _made(self) -> CachedAccounts:
        return CachedAccounts(
            self._database,
            self.clock,
            _TIMEOUT_S,
            known_for=_KNOWN_FOR,
            unknown_for=_UNKNOWN_FOR,
            size=self._size,
        )

    # ---- Questions ----------------------------------------------------------------------------

    def start(self) -> None:
        """The cache has nothing to be started."""

    def is_running(self) -> bool:
        return bool(self._questions) or self._closing is not None

    def _ask(self, name: str) -> None:
        if self._closing is not None:
            return
        state = self._accounts.state()
        question = _Question(name, self.clock.elapsed, state.failures, state.state == "down")
        question.task = self.loop.create_task(self._question(question))
        question.task.add_done_callback(lambda task: self._ended(question, task))
        self._questions.append(question)

    async def _question(self, question: _Question) -> None:
        question.began = True
        # The cache cleans names; to it these are the same.
        answer = await self._accounts.exists(f" {question.name.upper()}")
        self.note(f"{question.name}: {answer}")
        self._judge(question, answer)

    def _ended(self, question: _Question, task: asyncio.Task[None]) -> None:
        self._questions.remove(question)
        if not task.cancelled() and task.exception() is not None:
            self.fail(f"a question has raised {task.exception()!r}")

    def _judge(self, question: _Question, answer: bool | None) -> None:
        waited = self.clock.elapsed - question.asked
        if answer is None:
            self._judge_none(question, waited)
        elif question.name == _STRANGE:
            self.fail("an answer that nothing has given")
        else:
            kept = _KNOWN_FOR if answer else _UNKNOWN_FOR
            if not self._database.was(question.name, answer, kept + waited):
                self.fail(f"a wrong answer: {question.name} {answer}")

    def _judge_none(self, question: _Question, waited: float) -> None:
        state = self._accounts.state()
        trouble = question.was_down or state.state == "down" or state.failures > question.failures
        crowded = waited >= _TIMEOUT_S - _CLOSE
        strange = question.name == _STRANGE
        if not (trouble or crowded or strange or self._closing is not None):
            self.fail(f"cannot tell without a reason: {question.name}")

    # ---- What must always hold ----------------------------------------------------------------

    def check(self) -> None:
        longest = 2 * _TIMEOUT_S + max(self.ticks)
        for question in self._questions:
            if self.clock.elapsed - question.asked > longest:
                self.fail(f"a question without an answer: {question.name}")
        if self._closing is not None and self._database.running:
            self.fail("queries go on while it is closed")
        if self._accounts.state().cached > self._size:
            self.fail("more is remembered than may be")

    # ---- What happens -------------------------------------------------------------------------

    def act(self, move: Move) -> None:
        name = _NAMES[move.a % len(_NAMES)]
        if move.kind == "ask":
            self._ask(_STRANGE if move.b % 16 == 0 else name)
        elif move.kind == "crowd":
            for place in range(move.b % 12):
                self._ask(_NAMES[(move.a + place) % len(_NAMES)])
        elif move.kind == "age" and not self._questions:
            self.clock.elapsed += (_UNKNOWN_FOR, _KNOWN_FOR)[move.b % 2]
        elif move.kind == "leave" and self._questions:
            question = self._questions[move.a % len(self._questions)]
            self.note(f"no longer asks: {question.name}")
            question.task.cancel()
        elif move.kind in ("create", "delete"):
            self.note(f"{move.kind} {name}")
            self._database.change(name, move.kind == "create")
        elif move.kind == "fail":
            self._break(move)
        elif move.kind in ("down", "up"):
            self.note(f"database {move.kind}")
            self._database.up = move.kind == "up"
        elif move.kind == "close":
            self._close()

    def _break(self, move: Move) -> None:
        """A query fails."""
        waiting = [work for work in self.loop.work if not work.performed]
        if waiting:
            work = waiting[move.a % len(waiting)]
            self.note(f"fails: {work.label}")
            self._database.mood = "before"
            work.happen()
            self._database.mood = ""
            if move.b % 2:
                self.loop.finish(work)

    def _close(self) -> None:
        """The cache ends, and the next one begins. What was not asked yet is not asked any more."""
        if self._closing is not None:
            return
        self.note("CLOSE")
        for question in self._questions:
            if not question.began:
                question.task.cancel()
        self._closing = self.loop.create_task(self._accounts.close())
        self._closing.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing = None
        self.note("closed")
        if task.exception() is not None:
            self.fail(f"close has raised {task.exception()!r}")
        if not self._database.closed or self._database.running:
            self.fail("the database was not closed")
        left = asyncio.all_tasks(self.loop) - {question.task for question in self._questions}
        if len(left) > 1:  # that of the run itself
            self.fail("tasks were left")
        self._database.begin()
        self._accounts = self._made()

    # ---- The end ------------------------------------------------------------------------------

    def settle(self) -> Iterator[None]:
        """All is well again: every question has a true answer, and all slots can be used."""
        self.interrupts.clear()
        self.note("all is well from now on")
        self._database.up = True
        yield from self.go_on_while(lambda: self.is_running() or bool(self.loop.work))
        self.clock.elapsed += _KNOWN_FOR
        for name in _NAMES:
            self._ask(name)
            yield
            yield from self.go_on_while(self.is_running)
        self.clock.elapsed += _KNOWN_FOR
        for name in _NAMES:
            self._ask(name)
            yield
        if len(self._database.running) != MAX_QUERIES:
            self.fail(f"not all slots are used: {len(self._database.running)}")
        yield from self.go_on_while(self.is_running)
        if self._accounts.state().state != "up":
            self.fail("it is said to be down and is not")
        self._close()
        yield
        yield from self.go_on_while(self.is_running)
        if self.loop.work:
            self.fail(f"still under way at the end: {self.loop.work[0].label}")

    async def close(self) -> None:
        self._close()
        while self._closing is not None or self._questions:
            tasks = [question.task for question in self._questions]
            await asyncio.wait(tasks + ([self._closing] if self._closing is not None else []))
            await asyncio.sleep(0)


class CacheSimulation:
    """The account cache."""

    name = "accounts"
    counts = ()

    def scenario(self, seed: int) -> CacheScenario:
        return CacheScenario(size=random.Random(f"scenario {seed}").choice([1, 3, 100]))

    def moves(self, seed: int) -> list[Move]:
        # In every other run time passes faster than the database answers.
        pace = {"run": 2, "tick": 30} if seed % 2 else {}
        return draw(seed, {**SCHEDULING, **pace, **_ACTS}, 160, deep=_ACTS)

    def play(self, seed: int, moves: Sequence[Move]) -> Outcome:
        return CacheRun(self.scenario(seed), moves).play()

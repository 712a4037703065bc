"""One run of the enforcer and its interim bans against a firewall that does as it likes.

Whatever happens: a ban reported in force is in force, or was lost without a chance to notice; the
packets of a ban that waits are dropped; and when all has settled the firewall holds exactly the
wanted bans.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from math import inf
from typing import Any, NamedTuple

from mailbanned.address import Subject
from mailbanned.firewall import Enforcer, FirewallDown, InForce, Interim
from tests.simulation.firewalls import Connection, Host
from tests.simulation.simulation import SCHEDULING, Move, Outcome, Run, draw

_SUBJECTS = [Subject(f"203.0.113.{number}/32") for number in range(1, 8)]
#: For how long bans last; None is for ever.
_LASTS = (5.0, 40.0, 200.0, 1000.0, None)
#: How long all may take to settle: the longest pause, an audit, and what is under way.
_PATIENCE_S = 100.0
#: For how long all has to stay as it is: until the firewall would
#: have forgotten what is not renewed.
_LINGERING_S = 600.0

_NEVER_S = 1e6

_ACTS = {
    "want": 24,
    "unwant": 12,
    "lift": 3,
    "lose": 4,
    "signal": 5,
    "down": 2,
    "up": 5,
    "fail": 8,
    "meddle": 2,
    "stop": 2,
    "start": 8,
    "flush": 1,
}


class EnforcerScenario(NamedTuple):
    """What holds for a whole run.

    interim: whether there are interim bans. audits: whether the enforcer compares now and then; if
    not, nothing happens that only an audit could find. left: how many rules an earlier run has
    left, and how many of them are wanted still. refused: how many subjects the firewall refuses.
    """

    interim: bool
    audits: bool
    left: tuple[int, int]
    refused: int


class EnforcerRun(Run):
    """Plays moves on a simulated host."""

    ticks = (0.01, 0.5, 3.0, 20.0, 70.0)
    longest_quiet = 7.0

    def __init__(self, scenario: EnforcerScenario, moves: Sequence[Move]) -> None:
        super().__init__(moves)
        self._scenario = scenario
        refused = set(_SUBJECTS[len(_SUBJECTS) - scenario.refused :])
        self._host = Host(self.loop, self.clock, refused, self.note, orderly=not scenario.audits)
        self._bans: dict[Subject, float | None] = {}
        self._unreported: set[Subject] = set()
        self._enforcer: Enforcer | None = None
        self._interim: Interim | None = None
        self._connection = Connection(self._host, self.fail)
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._quiet = False
        left, wanted = scenario.left
        for subject in _SUBJECTS[:left]:
            self._host.rules.put(subject, None)
        self._bans = dict.fromkeys(_SUBJECTS[left - wanted : left])

    def play(self) -> Outcome:
        """Plays all moves, lets everything settle, and judges."""
        self.drive()
        return Outcome(self.fault, self.steps)

    # ---- The enforcer -------------------------------------------------------------------------

    def start(self) -> None:
        if self._task is not None:
            return
        self.note("START")
        host = self._host
        host.kernel.is_listed = False
        self._connection = Connection(host, self.fail)
        self._interim = None
        if self._scenario.interim:
            self._interim = Interim(host.kernel, self.clock, until=self._until)
        self._enforcer = Enforcer(
            self._connection,
            self.clock,
            cut=self._cut,
            on_in_force=self._on_in_force,
            until=self._until,
            interim=self._interim,
            audit=30.0 if self._scenario.audits else _NEVER_S,
        )
        self._enforcer.restore(self._bans)
        self._unreported = set(self._bans)
        self._run(self._enforcer.run())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._stopped = False
        self._task = self.loop.create_task(work)
        self._task.add_done_callback(self._ended)

    def _stop(self) -> None:
        if self._task is not None and not self._stopped and self._task.cancel():
            self.note("STOP")
            self._stopped = True

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        self.note("ended")
        if not task.cancelled() and (problem := task.exception()) is not None:
            self.fail(f"the enforcer ended by itself: {problem!r}")
        elif self._stopped and not task.cancelled():
            self.fail("the enforcer ended without a word when it was cancelled")
        elif not self._connection.closed and not self._connection.flushing:
            self.fail("the firewall was not closed")
        left = {task.get_coro().__name__ for task in asyncio.all_tasks(self.loop)}  # type: ignore[union-attr]
        if left - {"_until_the_end"}:
            self.fail(f"tasks were left: {', '.join(sorted(left))}")

    def _flush(self) -> None:
        """Takes all bans out, after what was under way."""
        if self._task is not None or self._enforcer is None:
            return
        while self.loop.work:
            self.loop.finish(self.loop.work[0])
        self.note("FLUSH")
        self._connection.flushing = True
        self._run(self._flush_all(self._enforcer))

    async def _flush_all(self, enforcer: Enforcer) -> None:
        try:
            await enforcer.flush()
        except FirewallDown:
            return
        if self._host.rules.ends or self._host.rules.partial:
            self.fail("rules were left by a flush")

    def _until(self, subject: Subject) -> float | None:
        return self._bans.get(subject, 0.0)

    async def _cut(self, subjects: Collection[Subject]) -> None:
        self._host.uncut -= set(subjects)
        await self.loop.pause("cut", lambda: None)

    def _on_in_force(self, report: InForce) -> None:
        subject, now = report.subject, self.clock.monotonic()
        self.note(f"in force: {subject}")
        rules = self._host.rules
        assert self._enforcer is not None
        since = self._enforcer.in_force_since(subject)
        if since is None or not report.dropped_since <= now >= since:
            self.fail("the time of a ban is not that of its rule")
        if self._interim is None and report.dropped_since != now:
            self.fail("the packets of a ban were dropped before its rule was there")
        if subject not in self._unreported:
            self.fail(f"in force was said once more than wanted: {subject}")
        is_heard = self._enforces()  # no more losses are heard of while it ends
        if is_heard and subject not in rules.ends and subject not in rules.excused:
            self.fail(f"was said to be in force and is not: {subject}")
        self._unreported.discard(subject)

    # ---- What must always hold ----------------------------------------------------------------

    def check(self) -> None:
        rules, kernel = self._host.rules, self._host.kernel
        rules.forget()
        rules.rest()
        kernel.expire()
        if self._enforcer is None or not self._enforces():
            return
        held = {s for s in self._bans if s in rules.ends or s in rules.excused}
        for subject in self._bans:
            if self._enforcer.in_force_since(subject) is not None and subject not in held:
                self.fail(f"is said to be in force and is not: {subject}")
        state = self._enforcer.state()
        if state.bans_in_force > len(held):
            self.fail(f"more bans are said to be in force than can be: {state.bans_in_force}")
        if self._interim is not None and kernel.is_listed and not kernel.in_flight:
            self._check_interim(self._interim, held)
        if self._quiet and not self.loop.work:
            self._judge(held)

    def _check_interim(self, interim: Interim, held: set[Subject]) -> None:
        kernel = self._host.kernel
        now = self.clock.now()
        for subject in _SUBJECTS:
            if interim.is_dropping(subject) and not kernel.has(subject):
                self.fail(f"interim bans do not drop: {subject}")
        if self._connection.asking:
            return
        unsure = held | self._host.refused | kernel.doubtful | kernel.expired
        for subject, end in self._bans.items():
            waits = subject not in unsure and (inf if end is None else end) > now
            if waits and not kernel.has(subject):
                self.fail(f"it waits and is let in: {subject}")
        if not self.loop.work:
            for subject in kernel.ends:
                if subject not in self._bans and subject not in kernel.doubtful:
                    self.fail(f"an interim ban outlives the ban: {subject}")

    def _judge(self, held: set[Subject]) -> None:
        """All has settled."""
        assert self._enforcer is not None
        rules, refused, state = self._host.rules, self._host.refused, self._enforcer.state()
        wanted = self._bans.keys() - refused
        if missing := wanted - rules.ends.keys():
            self.fail(f"wanted and not there: {', '.join(sorted(missing))}")
        if surplus := (rules.ends.keys() | rules.partial) - wanted:
            self.fail(f"there and not wanted: {', '.join(sorted(surplus))}")
        if (state.state, state.bans_in_force, state.pending) != ("up", len(wanted), 0):
            self.fail(f"the state is not that of the firewall: {state}")
        if unreported := self._unreported - refused:
            self.fail(f"was never said to be in force: {', '.join(sorted(unreported))}")
        if uncut := self._host.uncut & wanted & held:
            self.fail(f"was never cut: {', '.join(sorted(uncut))}")
        if self._connection.in_flight or self._connection.asking:
            self.fail("calls are under way for ever")

    # ---- What happens -------------------------------------------------------------------------

    def is_running(self) -> bool:
        return self._task is not None

    def _enforces(self) -> bool:
        """Whether the enforcer is at work, and not about to end."""
        return self._task is not None and not self._stopped and not self._connection.flushing

    def deliver(self) -> bool:
        return self._host.rules.signal() or self._lift()

    def _lift(self) -> bool:
        """Ends the bans whose time is over."""
        now = self.clock.now()
        over = [s for s, end in self._bans.items() if end is not None and end <= now]
        for subject in over:
            self._unwant(subject)
        return bool(over)

    def _want(self, subject: Subject, lasts: float | None) -> None:
        self.note(f"want {subject} for {lasts}")
        end = inf if lasts is None else self.clock.now() + lasts
        before = self._bans.get(subject, 0.0)
        end = max(end, inf if before is None else before)
        self._bans[subject] = None if end == inf else end
        if self._enforcer is not None and self.is_running():
            self._unreported.add(subject)
            self._enforcer.want(subject)

    def _unwant(self, subject: Subject) -> None:
        self.note(f"unwant {subject}")
        del self._bans[subject]
        self._unreported.discard(subject)
        if self._enforcer is not None and self.is_running():
            self._enforcer.unwant(subject)

    def act(self, move: Move) -> None:
        subject = _SUBJECTS[move.a % len(_SUBJECTS)]
        rules = self._host.rules
        if move.kind == "want":
            self._want(subject, _LASTS[move.b % len(_LASTS)])
        elif move.kind == "unwant" and subject in self._bans:
            self._unwant(subject)
        elif move.kind == "fail":
            self._break(move)
        elif move.kind == "meddle":
            self._meddle(subject, move.b)
        elif move.kind in ("lose", "down"):
            self._lose(move)
        elif move.kind == "up" and not rules.up:
            self.note("firewall up")
            rules.up = True
            rules.signal_due |= move.b % 2 == 0
        else:
            simple: dict[str, Callable[[], object]] = {
                "lift": self._lift,
                "signal": rules.signal,
                "stop": self._stop,
                "start": self.start,
                "flush": self._flush,
            }
            simple.get(move.kind, lambda: None)()

    def _lose(self, move: Move) -> None:
        """Rules vanish, with a word, without one, or because the firewall goes down."""
        rules = self._host.rules
        if move.kind == "down":
            rules.up = False
        if move.kind == "lose" or move.a % 2:
            rules.lose(*rules.ends)
        rules.signal_due |= move.b % 3 > 0 or not self._scenario.audits
        said = "known later" if rules.signal_due else "silent"
        if move.b % 3 == 2:
            rules.signal()
            said = "known"
        self.note(f"{move.kind}, {said}; rules: {len(rules.ends)}")

    def _break(self, move: Move) -> None:
        """A call fails, before or after it took effect."""
        waiting = [work for work in self.loop.work if not work.performed]
        if waiting:
            work = waiting[move.a % len(waiting)]
            self._host.mood = ("before", "after")[move.b % 2]
            self.note(f"fails {self._host.mood} its effect: {work.label}")
            work.happen()
            self._host.mood = ""
            if move.b // 2 % 2:
                self.loop.finish(work)

    def _meddle(self, subject: Subject, how: int) -> None:
        """Another program changes a rule of ours without notice."""
        if self._connection.flushing or not self._scenario.audits:
            return
        rules = self._host.rules
        self.note(f"another program changes {subject}")
        if subject in rules.ends:
            rules.lose(subject)
            if how % 2:
                rules.partial.add(subject)
        elif subject not in self._host.refused:
            uncut = set(self._host.uncut)
            rules.put(subject, None)
            self._host.uncut = uncut  # the enforcer cannot know of it

    # ---- The end ------------------------------------------------------------------------------

    def settle(self) -> Iterator[None]:
        self.interrupts.clear()
        self._host.rules.up = True
        self.note("all is well from now on")
        if not self._enforces():
            yield from self.go_on_while(self.is_running)
        self.start()
        yield
        yield from self._wait(_PATIENCE_S)
        self._quiet = True
        yield from self._wait(_LINGERING_S if self._scenario.audits else 1.0)
        if self._enforcer is not None and not self._enforcer.settled.is_set():
            self.fail("it was never said that all is settled")
        self._stop()
        yield from self.go_on_while(self.is_running)

    def _wait(self, seconds: float) -> Iterator[None]:
        until = self.clock.elapsed + seconds
        yield from self.go_on_while(lambda: self.clock.elapsed < until)

    async def close(self) -> None:
        if self._task is not None:
            self._stop()
            await asyncio.wait([self._task])


class EnforcerSimulation:
    """The enforcer, its reconciler and its interim bans."""

    name = "enforcer"
    counts = ()

    def scenario(self, seed: int) -> EnforcerScenario:
        chance = random.Random(f"scenario {seed}")
        left = chance.choice([0, 0, 2, 5])
        return EnforcerScenario(
            interim=chance.random() < 0.6,
            audits=chance.random() < 0.7,
            left=(left, chance.randint(0, left)),
            refused=chance.choice([0, 0, 1]),
        )

    def moves(self, seed: int) -> list[Move]:
        return draw(seed, {**SCHEDULING, **_ACTS}, 160, deep=_ACTS)

    def play(self, seed: int, moves: Sequence[Move]) -> Outcome:
        return EnforcerRun(self.scenario(seed), moves).play()

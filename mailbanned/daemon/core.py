"""The one task that owns all counting state: Blocks in, decisions out.

Blocks come through a bounded queue; when it is full, sources wait at their offset, and the log
itself is the buffer. Account look-ups and the firewall run beside it and never hold it up: a
question goes out, its answer comes back later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from mailbanned.clock import Clock, iso
from mailbanned.daemon.reaction import Reaction
from mailbanned.daemon.saver import Saver
from mailbanned.filters import FilterSet
from mailbanned.jails import Engine, Question
from mailbanned.log import get_logger
from mailbanned.model import Ban, Block, Failure, Subject, Unban, plain

log = get_logger("jails")

_BLOCKS = 8
# A block full of attacks lets other tasks run (and bans go out) after so many failures.
_BREATH = 200


class Wanted(Protocol):
    """What the core tells the firewall."""

    def want(self, subject: Subject) -> None: ...
    def unwant(self, subject: Subject) -> None: ...


class Core:
    """Counts failures and carries decisions to the firewall, the state file and the log.

    ask: takes a Question whose answer comes back through `answer`.
    """

    def __init__(
        self, engine: Engine, clock: Clock, saver: Saver, ask: Callable[[Question], None]
    ) -> None:
        self.engine = engine
        self.reaction = Reaction()
        self.filters: Mapping[str, FilterSet] = {}
        self.firewall: Wanted | None = None
        self._clock = clock
        self._saver = saver
        self._ask = ask
        self._blocks: asyncio.Queue[Block | asyncio.Event] = asyncio.Queue(_BLOCKS)
        self._unconfirmed: dict[Subject, list[Ban]] = {}
        self._in_force: set[Subject] = set()
        self._something_in_force = asyncio.Event()
        self._deadline_moved = asyncio.Event()
        self._last_stamp: dict[str, float] = {}

    async def take(self, block: Block) -> None:
        """A block of a source; waits while the core is behind."""
        await self._blocks.put(block)

    async def settled(self) -> None:
        """Waits until everything taken so far has been counted."""
        mark = asyncio.Event()
        await self._blocks.put(mark)
        await mark.wait()

    async def count(self) -> None:
        """Counts what comes in, until cancelled."""
        while True:
            block = await self._blocks.get()
            if isinstance(block, asyncio.Event):
                block.set()
                continue
            filters = self.filters.get(block.source)
            if filters is not None:
                await self._count(block, filters)
            self._saver.read(block.source, block.marks)

    async def _count(self, block: Block, filters: FilterSet) -> None:
        for counted, failure in enumerate(filters.failures(block.data, block.arrived), start=1):
            at = self._time_of(block, failure)
            if at is None:
                continue
            ticks = block.ticks if block.live else None
            now = self._clock.now()
            for decision in self.engine.observe(block.source, failure, at, now, ticks):
                if isinstance(decision, Ban):
                    self.entered(decision)
                else:
                    self._ask(decision)
            if counted % _BREATH == 0:
                await asyncio.sleep(0)

    def _time_of(self, block: Block, failure: Failure) -> float | None:
        """Live lines count when they arrived, caught-up ones at their stamp, never later than now.

        A caught-up line without a stamp is as old as the one before it; with none before it,
        nobody can say, and it does not count.
        """
        if block.live:
            return block.arrived
        stamp = self._last_stamp.get(block.source) if failure.at is None else failure.at
        if stamp is None:
            return None
        self._last_stamp[block.source] = stamp
        return min(stamp, block.arrived)

    def answer(self, question: Question, exists: bool | None) -> None:
        """The answer to a question: whether the account exists (None: nobody can tell)."""
        ban = self.engine.answer(question, exists, self._clock.now())
        if ban is not None:
            self.entered(ban)

    async def expire(self) -> None:
        """Lifts bans when their time has come, until cancelled: one deadline for all of them."""
        while True:
            self._deadline_moved.clear()
            for unban in self.engine.expire(self._clock.now()):
                self.lifted(unban)
            deadline = self.engine.ledger.deadline()
            # The wall clock may be set while we wait: look again once a minute.
            pause = 60.0 if deadline is None else min(60.0, deadline - self._clock.now())
            try:
                async with asyncio.timeout(max(0.0, pause)):
                    await self._deadline_moved.wait()
            except TimeoutError:
                pass

    def entered(self, ban: Ban) -> None:
        """A ban has been entered into the ledger."""
        self._saver.decided(ban)
        self._deadline_moved.set()
        self._unconfirmed.setdefault(ban.subject, []).append(ban)
        if self.firewall is not None:
            self.firewall.want(ban.subject)

    def lifted(self, unban: Unban) -> None:
        """A ban has been taken out of the ledger."""
        self._saver.decided(unban)
        log.info(f"[{unban.jail}] Unban {plain(unban.subject)}", why=unban.reason)
        if unban.last:
            self._unconfirmed.pop(unban.subject, None)
            self._in_force.discard(unban.subject)
            self._something_in_force.set()  # for whoever waits to see it in force
            if self.firewall is not None:
                self.firewall.unwant(unban.subject)

    def in_force(self, subject: Subject, ticks: float) -> None:
        """The firewall keeps the subject out since `ticks`."""
        if subject in self.engine.ledger:
            self._in_force.add(subject)
            self._something_in_force.set()
        for ban in self._unconfirmed.pop(subject, ()):
            took = None if ban.ticks is None else ticks - ban.ticks
            if took is not None:
                self.reaction.add(took)
            self._say(ban, took)

    def is_in_force(self, subject: Subject) -> bool:
        """Whether the firewall has taken the subject's ban."""
        return subject in self._in_force

    async def confirmed(self, subject: Subject) -> None:
        """Waits until the subject's ban is in force (or lifted again)."""
        while subject not in self._in_force and subject in self.engine.ledger:
            self._something_in_force.clear()
            await self._something_in_force.wait()

    def _say(self, ban: Ban, took: float | None) -> None:
        values: dict[str, object] = {"jail": ban.jail, "failures": ban.failures, "user": ban.user}
        values["until"] = iso(ban.until)
        values["reason"] = ban.reason
        if took is not None:
            values["ms"] = round(took * 1000, 1)
        log.warning(f"[{ban.jail}] Ban {plain(ban.subject)}", **values)

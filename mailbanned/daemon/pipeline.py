"""The one task that owns all counting state: Blocks in, decisions out.

Account look-ups and the firewall run beside it and never hold it up: a question goes out, its
answer comes back later.

What was counted is saved together with the position up to which it was counted, so that after a
kill no line counts twice and none is left out. Known limit: a failure that waits for the account
database at that moment is lost (attackers come again).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from mailbanned.address import Subject, display_subject
from mailbanned.clock import Clock, iso
from mailbanned.daemon.recent_lines import Evidence
from mailbanned.daemon.scheduler import Intake
from mailbanned.daemon.writer import Saver
from mailbanned.filters import FilterSet
from mailbanned.jails import (
    MANUAL,
    AccountCheck,
    Engine,
    Event,
    OutageDetected,
    SeenWhileBanned,
    WindowKey,
)
from mailbanned.log import get_logger
from mailbanned.model import Ban, Block, LogEvent, LoginSucceeded, OutageReported, Unban

log = get_logger("jails")

# So many findings are looked at before others may have a turn; they take some microseconds each.
_AT_ONCE = 8


class Enforcement(Protocol):
    """What enforces the bans."""

    def want(self, ban: Ban) -> None:
        """Enforces a new ban."""
        ...

    def unwant(self, subject: Subject) -> None:
        """Lifts the last ban of a subject."""
        ...

    def check_effect(self, seen: SeenWhileBanned) -> None:
        """Takes note of a failure of a banned subject."""
        ...


class Core:
    """Counts failures and carries decisions to the firewall, the state file and the log.

    ask: takes an AccountCheck whose answer comes back through `answer`.
    firewall: enforces the bans.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        saver: Saver,
        firewall: Enforcement,
        *,
        ask: Callable[[AccountCheck], None],
    ) -> None:
        self.engine = engine
        self.filters: Mapping[str, FilterSet] = {}
        self._firewall = firewall
        self._clock = clock
        self._saver = saver
        self._ask = ask
        self.intake = Intake(clock, self._count)
        self.banned_by_hand = 0  # in no jail
        self.evidence = Evidence()
        self._deadline_moved = asyncio.Event()
        self._last_stamp: dict[str, float] = {}
        self._full: set[str] = set()

    def _count(self, block: Block) -> Iterator[None]:
        """Counts a block; may be left and taken up again after every few findings."""
        filters = self.filters.get(block.source)
        if filters is not None:
            for number, found in enumerate(filters.read(block.data, block.arrived, None), start=1):
                self._take(block, filters, found)
                if number % _AT_ONCE == 0:
                    yield
        others = self.intake.begun() - {block.source}
        self._saver.read(block.source, block.marks, self.engine.changed_windows(others))

    def _take(self, block: Block, filters: FilterSet, found: LogEvent) -> None:
        """Live lines count when they arrived, caught-up ones at their stamp, never later than now.

        A caught-up line without a stamp is as old as the one before it; with none before it,
        nobody can say, and it does not count.
        """
        stamp, arrived = found[1], block.arrived
        if block.live:
            if stamp is not None:
                filters.stats.record_skew(stamp, arrived, live=True)
            at, ticks = arrived, block.read_monotonic
        else:
            if stamp is None:
                stamp = self._last_stamp.get(block.source)
                if stamp is None:
                    return
            elif stamp > arrived:  # nothing else is noted of stamps of caught-up lines
                filters.stats.record_skew(stamp, arrived, live=False)
            self._last_stamp[block.source] = stamp
            at, ticks = min(stamp, arrived), None
        now = self._clock.now()
        if isinstance(found, LoginSucceeded):
            self.engine.on_login(found, at)
            return
        if isinstance(found, OutageReported):
            self.apply(self.engine.on_outage(found, at, now))
            return
        if now - at < self.engine.findtime:
            self.evidence.note(at, block.source, found, filters.text)
        events = self.engine.observe(block.source, found, at, now, ticks)
        if events:
            self.apply(events)

    def changed_windows(self) -> Mapping[WindowKey, tuple[float, ...]]:
        """The counts that changed and that fit the positions read so far."""
        self._mind_the_room()
        return self.engine.changed_windows(self.intake.begun())

    def _mind_the_room(self) -> None:
        """Says once of each jail that it had to forget failures."""
        for name, jail in self.engine.jails.items():
            if jail.windows.evicted and name not in self._full:
                self._full.add(name)
                log.warning(
                    "so many addresses fail that the failures of those quiet for longest no longer "
                    "count (status shows how many)",
                    jail=name,
                )

    def apply(self, events: list[Event]) -> None:
        """Carries what the engine returned to the firewall, the state file and the log."""
        for event in events:
            match event:
                case Ban():
                    self.entered(event)
                case Unban():
                    self.lifted(event)
                case AccountCheck():
                    self._ask(event)
                case SeenWhileBanned():
                    self._firewall.check_effect(event)
                case OutageDetected(is_new=True):
                    log.warning(
                        "the login backend seems to be down: failures of logins do not count",
                        since=iso(event.since),
                        until=f"{iso(event.until)} or longer",
                        reason=event.reason,
                    )

    def answer(self, question: AccountCheck, exists: bool | None) -> None:
        """The answer to a question: whether the account exists (None: nobody can tell)."""
        ban = self.engine.resolve(question, exists, self._clock.now())
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
        self.banned_by_hand += ban.jail == MANUAL
        self._saver.decided(ban)
        self._deadline_moved.set()
        self._firewall.want(ban)

    def lifted(self, unban: Unban) -> None:
        """A ban has been taken out of the ledger."""
        self._saver.decided(unban)
        log.info(f"[{unban.jail}] Unban {display_subject(unban.subject)}", why=unban.reason)
        if unban.is_last:
            self._firewall.unwant(unban.subject)

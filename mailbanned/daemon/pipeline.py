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
from mailbanned.daemon.ineffective_bans import Leaks
from mailbanned.daemon.reaction_time import Reaction
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


class Wanted(Protocol):
    """What the core tells the firewall."""

    def want(self, subject: Subject) -> None: ...
    def unwant(self, subject: Subject) -> None: ...


class Core:
    """Counts failures and carries decisions to the firewall, the state file and the log.

    ask: takes a Question whose answer comes back through `answer`.
    firewall: is told whom to keep out. enforces: whether it really does.
    """

    def __init__(
        self, engine: Engine, clock: Clock, saver: Saver, ask: Callable[[AccountCheck], None]
    ) -> None:
        self.engine = engine
        self.reaction = Reaction()
        self.filters: Mapping[str, FilterSet] = {}
        self.firewall: Wanted | None = None
        self.enforces = True
        self._clock = clock
        self._saver = saver
        self._ask = ask
        self.intake = Intake(clock, self._count)
        self._unconfirmed: dict[Subject, list[Ban]] = {}
        self._in_force: dict[Subject, float] = {}
        self._kept_out: dict[Subject, float] = {}
        self.banned_by_hand = 0  # in no jail
        self.leaks = Leaks()
        self.evidence = Evidence()
        self._something_in_force = asyncio.Event()
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
                    self._check_effect(event)
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
        self._unconfirmed.setdefault(ban.subject, []).append(ban)
        if self.firewall is not None:
            self.firewall.want(ban.subject)

    def lifted(self, unban: Unban) -> None:
        """A ban has been taken out of the ledger."""
        self._saver.decided(unban)
        log.info(f"[{unban.jail}] Unban {display_subject(unban.subject)}", why=unban.reason)
        if unban.is_last:
            self._unconfirmed.pop(unban.subject, None)
            self._in_force.pop(unban.subject, None)
            self._kept_out.pop(unban.subject, None)
            self.leaks.over(unban.subject)
            self._something_in_force.set()  # for whoever waits to see it in force
            if self.firewall is not None:
                self.firewall.unwant(unban.subject)

    def in_force(self, subject: Subject, ticks: float) -> None:
        """The firewall keeps the subject out since `ticks`."""
        if subject in self.engine.ledger:
            self._in_force[subject] = ticks
            self._something_in_force.set()
        since = self._kept_out.pop(subject, ticks)
        for ban in self._unconfirmed.pop(subject, ()):
            took = None if ban.read_monotonic is None else max(0.0, since - ban.read_monotonic)
            if took is not None:
                self.reaction.add(took)
            self._say(ban, took)

    def kept_out(self, subject: Subject, ticks: float) -> None:
        """Its packets are dropped since `ticks`, while its ban waits to be in force."""
        if subject in self._unconfirmed:
            self._kept_out.setdefault(subject, ticks)

    def _check_effect(self, seen: SeenWhileBanned) -> None:
        """Notes a failure of a subject whose ban is in force, as a sign that it has no effect."""
        subject, failure, read_monotonic = seen
        since = self._in_force.get(subject)
        if since is not None and self.enforces:
            self.leaks.heard(subject, failure, self._clock.now(), read_monotonic - since)

    def is_in_force(self, subject: Subject) -> bool:
        """Whether the firewall has taken the subject's ban."""
        return subject in self._in_force

    def in_force_since(self, subject: Subject) -> float | None:
        """When the firewall last took the subject's ban (epoch); None if it has not."""
        return self._when(self._in_force.get(subject))

    def kept_out_since(self, subject: Subject) -> float | None:
        """When an interim ban first stood in for one that still waits (epoch); None if none did."""
        return self._when(self._kept_out.get(subject))

    def _when(self, ticks: float | None) -> float | None:
        return None if ticks is None else self._clock.now() - (self._clock.monotonic() - ticks)

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
        log.warning(f"[{ban.jail}] Ban {display_subject(ban.subject)}", **values)

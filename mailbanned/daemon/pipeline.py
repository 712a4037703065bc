"""Counts the blocks of all sources and carries out what the jails decide.

Account look-ups and the firewall run in other tasks and never delay it.

What was counted is saved together with the checkpoint up to which it was counted, so that after a
kill no line counts twice and none is left out.

Known limits: a failure that waits for the account database when the daemon is killed is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from mailbanned.address import Subject, display_subject
from mailbanned.clock import Clock, iso
from mailbanned.daemon.recent_lines import RecentLines
from mailbanned.daemon.scheduler import BlockScheduler
from mailbanned.daemon.writer import PendingChanges
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

_log = get_logger("jails")

# How many matches are handled before other tasks get a turn; each takes some microseconds.
_BATCH = 8


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


class Pipeline:
    """Counts failures and carries decisions to the firewall, the state file and the log.

    pending: collects what is to be saved.
    firewall: enforces the bans.
    check_account: takes an AccountCheck whose answer comes back through `on_account_checked`.
    filters: those of each source.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        pending: PendingChanges,
        firewall: Enforcement,
        check_account: Callable[[AccountCheck], None],
        filters: Mapping[str, FilterSet],
    ) -> None:
        self.engine = engine
        self.filters = filters
        self._clock = clock
        self._pending = pending
        self._firewall = firewall
        self._check_account = check_account
        self.scheduler = BlockScheduler(clock, self._process)
        self.banned_by_hand = 0  # in no jail
        self.recent_lines = RecentLines()
        self._deadline_moved = asyncio.Event()
        self._last_stamp: dict[str, float] = {}
        self._full: set[str] = set()

    def _process(self, block: Block) -> Iterator[None]:
        """Counts a block; yields after every few matches, so that other sources get a turn."""
        filters = self.filters.get(block.source)
        if filters is not None:
            for number, match in enumerate(filters.read(block.data, block.arrived, None), start=1):
                self._handle(block, filters, match)
                if number % _BATCH == 0:
                    yield
        others = self.scheduler.in_progress() - {block.source}
        self._pending.record_progress(
            block.source, block.marks, self.engine.changed_windows(others)
        )

    def _handle(self, block: Block, filters: FilterSet, match: LogEvent) -> None:
        """Counts a match: a live line when it arrived, an older one at its time stamp, at most now.

        An older line without a time stamp has that of the line before it; without one before it
        the line does not count.
        """
        stamp, arrived = match[1], block.arrived
        if block.live:
            if stamp is not None:
                filters.stats.record_skew(stamp, arrived, live=True)
            at, read_monotonic = arrived, block.read_monotonic
        else:
            if stamp is None:
                stamp = self._last_stamp.get(block.source)
                if stamp is None:
                    return
            elif stamp > arrived:  # of older lines nothing else is recorded
                filters.stats.record_skew(stamp, arrived, live=False)
            self._last_stamp[block.source] = stamp
            at, read_monotonic = min(stamp, arrived), None
        now = self._clock.now()
        if isinstance(match, LoginSucceeded):
            self.engine.on_login(match, at)
            return
        if isinstance(match, OutageReported):
            self.apply(self.engine.on_outage(match, at, now))
            return
        if now - at < self.engine.findtime:
            self.recent_lines.add(at, block.source, match, filters.text)
        events = self.engine.observe(block.source, match, at, now, read_monotonic)
        if events:
            self.apply(events)

    def changed_windows(self) -> Mapping[WindowKey, tuple[float, ...]]:
        """The counts that changed and that fit the positions read so far."""
        self._warn_of_evictions()
        return self.engine.changed_windows(self.scheduler.in_progress())

    def _warn_of_evictions(self) -> None:
        """Logs once for each jail that it had to evict failures."""
        for name, jail in self.engine.jails.items():
            if jail.windows.evicted and name not in self._full:
                self._full.add(name)
                _log.warning(
                    "failure table full: dropping the least recently active addresses "
                    "(see forgotten_total in status)",
                    jail=name,
                )

    def apply(self, events: list[Event]) -> None:
        """Carries what the engine returned to the firewall, the state file and the log."""
        for event in events:
            match event:
                case Ban():
                    self.on_banned(event)
                case Unban():
                    self.on_unbanned(event)
                case AccountCheck():
                    self._check_account(event)
                case SeenWhileBanned():
                    self._firewall.check_effect(event)
                case OutageDetected(is_new=True):
                    _log.warning(
                        "the login backend seems to be down: failures of logins do not count",
                        since=iso(event.since),
                        until=f"{iso(event.until)} or longer",
                        reason=event.reason,
                    )

    def on_account_checked(self, question: AccountCheck, exists: bool | None) -> None:
        """Takes the answer to a check: whether the account exists; None: it cannot be known."""
        ban = self.engine.resolve(question, exists, self._clock.now())
        if ban is not None:
            self.on_banned(ban)

    async def expire(self) -> None:
        """Lifts expired bans until cancelled; one deadline serves all of them."""
        while True:
            self._deadline_moved.clear()
            for unban in self.engine.expire(self._clock.now()):
                self.on_unbanned(unban)
            deadline = self.engine.ledger.deadline()
            # The wall clock may be set during the wait, so it is checked once a minute.
            pause = 60.0 if deadline is None else min(60.0, deadline - self._clock.now())
            try:
                async with asyncio.timeout(max(0.0, pause)):
                    await self._deadline_moved.wait()
            except TimeoutError:
                pass

    def on_banned(self, ban: Ban) -> None:
        """Saves and enforces a ban that the ledger has."""
        self.banned_by_hand += ban.jail == MANUAL
        self._pending.record_decision(ban)
        self._deadline_moved.set()
        self._firewall.want(ban)

    def on_unbanned(self, unban: Unban) -> None:
        """Saves, logs and stops enforcing a ban that the ledger has no more."""
        self._pending.record_decision(unban)
        _log.info(f"[{unban.jail}] Unban {display_subject(unban.subject)}", why=unban.reason)
        if unban.is_last:
            self._firewall.unwant(unban.subject)

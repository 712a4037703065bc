"""The engine: the one place where failures become bans, and the room's only door.

It is synchronous and owns all counting state. Whatever needs waiting (an account database, a
firewall) is a value that it returns and an answer that it is given later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mailbanned.jails.ignore import IgnoreList
from mailbanned.jails.jail import Jail, JailRules
from mailbanned.jails.ledger import Ledger
from mailbanned.model import Ban, Failure, Network, Subject, Unban, network_of

#: The name under which bans by hand are entered when no jail is named.
MANUAL = "manual"

WindowKey = tuple[str, Subject]


@dataclass(frozen=True, slots=True)
class Question:
    """A failure that counts only if the account does not exist: somebody has to look."""

    jail: str
    user: str
    failure: Failure
    at: float
    ticks: float | None


@dataclass(frozen=True, slots=True)
class Saved:
    """What an earlier run left: bans, and failure times per jail and subject."""

    bans: Sequence[Ban] = ()
    windows: Mapping[WindowKey, tuple[float, ...]] = field(default_factory=dict)


class Engine:
    """All jails and the ledger."""

    def __init__(self, rules: Iterable[JailRules], own: Sequence[Network] = ()) -> None:
        self.ledger = Ledger()
        self.jails: dict[str, Jail] = {}
        self._feeds: dict[tuple[str, str], list[Jail]] = {}
        self._touched: set[WindowKey] = set()
        self.configure(rules, own)

    def configure(
        self,
        rules: Iterable[JailRules],
        own: Sequence[Network] = (),
        now: float = 0.0,
        ignore: Sequence[Network] = (),
    ) -> list[Unban]:
        """New rules for all jails; bans and counts stay, save those of now ignored subjects.

        own: this host's addresses. ignore: what holds for bans in no configured jail.
        """
        before, self.jails, self._feeds = self.jails, {}, {}
        for one in rules:
            jail = before.get(one.name)
            if jail is None:
                jail = Jail(one, own)
            else:
                jail.change(one, own)
            self.jails[one.name] = jail
            self._feeds.setdefault((one.source, one.filter), []).append(jail)
        elsewhere = IgnoreList((*ignore, *own))
        lifted = []
        for ban in list(self.ledger):
            jail = self.jails.get(ban.jail)
            ignored = jail.ignore if jail else elsewhere
            if ignored.touched_by(network_of(ban.subject)):
                unban = self.ledger.lift(ban.subject, ban.jail, now, "ignored now")
                lifted += [unban] if unban else []
        return lifted

    def observe(
        self, source: str, failure: Failure, at: float, now: float, ticks: float | None = None
    ) -> list[Ban | Question]:
        """Counts a failure of a source in every jail that it concerns.

        at: when it counts. ticks: when its line was read, for reaction times.
        Returns the bans it leads to, and questions to be answered before more can be said.
        """
        decisions: list[Ban | Question] = []
        for jail in self._feeds.get((source, failure.rule.partition("/")[0]), ()):
            if jail.rules.unknown_accounts:
                if failure.user is not None and not jail.ignore.covers(failure.address):
                    name = jail.rules.name
                    decisions.append(Question(name, failure.user, failure, at, ticks))
            elif ban := self._count(jail, failure, at, now, ticks):
                decisions.append(ban)
        return decisions

    def answer(self, question: Question, exists: bool | None, now: float) -> Ban | None:
        """Counts a questioned failure if its account surely does not exist."""
        jail = self.jails.get(question.jail)
        if exists is not False or jail is None:
            return None
        return self._count(jail, question.failure, question.at, now, question.ticks)

    def _count(
        self, jail: Jail, failure: Failure, at: float, now: float, ticks: float | None
    ) -> Ban | None:
        subject = jail.subject(failure)
        if subject is None:
            return None
        jail.failures_total += 1
        name = jail.rules.name
        # What a banned subject still gets into the log (its last lines, an open session) must
        # neither prolong the ban nor wait for its end.
        if self.ledger.get(subject, name) is not None or at <= now - jail.rules.findtime:
            return None
        ban = jail.count(subject, failure, at, ticks)
        self._touched.add((name, subject))
        if ban is None or not ban.holds(now):
            return None
        return self._enter(jail, ban)

    def _enter(self, jail: Jail | None, ban: Ban) -> Ban:
        self.ledger.add(ban)
        if jail is not None:
            jail.banned_total += 1
        return ban

    def ban(
        self, network: Network, now: float, until: float | None, *, jail: str = MANUAL,
        reason: str = "",
    ) -> Ban:  # fmt: skip
        """A ban by hand. The caller has asked `ignored` first."""
        subject = Subject(str(network))
        return self._enter(self.jails.get(jail), Ban(jail, subject, now, until, 0, None, reason))

    def ignored(self, network: Network, also: Iterable[Network] = ()) -> Network | None:
        """The ignored network (of any jail, or of `also`) that a ban would touch, or None."""
        every = dict.fromkeys(also)
        for jail in self.jails.values():
            every.update(dict.fromkeys(jail.ignore.networks))
        return IgnoreList(every).touched_by(network)

    def known_subjects(self) -> list[Subject]:
        """Everybody who is banned or has failures on record."""
        known = dict.fromkeys(self.ledger.subjects())
        for jail in self.jails.values():
            known.update(dict.fromkeys(jail.windows.subjects()))
        return list(known)

    def unban(
        self, subjects: Iterable[Subject], now: float, jail: str | None = None
    ) -> list[Unban]:
        """Lifts bans (of all jails or of one) and forgets what was counted for the subjects."""
        lifted = []
        for subject in subjects:
            for name in [jail] if jail else [ban.jail for ban in self.ledger.of(subject)]:
                if unban := self.ledger.lift(subject, name, now, "by hand"):
                    lifted.append(unban)
            for name, one in self.jails.items():
                if jail in (None, name) and one.windows.forget(subject):
                    self._touched.add((name, subject))
        return lifted

    def expire(self, now: float) -> list[Unban]:
        """Ends the bans whose time has come."""
        return self.ledger.expire(now)

    def restore(self, saved: Saved, now: float) -> None:
        """Takes up where an earlier run stopped; bans that have ended meanwhile stay out."""
        for ban in saved.bans:
            if ban.holds(now):
                self.ledger.add(ban)
        for (name, subject), times in saved.windows.items():
            if name in self.jails:
                recent = tuple(t for t in times if t > now - self.jails[name].rules.findtime)
                self.jails[name].windows.restore(subject, recent)

    def changed_windows(self) -> dict[WindowKey, tuple[float, ...]]:
        """The windows that changed since the last call; an empty tuple where nothing is left."""
        touched, self._touched = self._touched, set()
        return {
            (name, subject): self.jails[name].windows.times(subject)
            for name, subject in touched
            if name in self.jails
        }

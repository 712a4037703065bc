"""Which jails hear of a failure: found once for each source, rule and address, and remembered.

The engine: the one place where failures become bans, and the room's only door.

It is synchronous and owns all counting state. Whatever needs waiting (an account database, a
firewall) is a value that it returns and an answer that it is given later.

Who in given networks is banned or has failed, however many there are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain

from mailbanned.address import Network, Subject, network_of, subject_of
from mailbanned.jails.events import MANUAL, Decision, Question, Saved, WindowKey
from mailbanned.jails.ignore import IgnoreList
from mailbanned.jails.jail import Jail, Listener
from mailbanned.jails.ledger import Ledger
from mailbanned.jails.outage import Breaker, Opening
from mailbanned.jails.settings import JailSettings, OutageSettings
from mailbanned.jails.window import Windows
from mailbanned.model import Ban, Failure, Sign, Unban

# Most lines come from the same few addresses; a wave of others must not fill the memory.
_REMEMBERED = 8192

#: Source, rule and address.
Key = tuple[str, str, str]


class Listening:
    """Listeners by key.

    known: those found lately. (Looked at for every failure; what is not there is to be found.)
    """

    def __init__(self, jails: Mapping[str, Jail]) -> None:
        self.known: dict[Key, tuple[Listener, ...]] = {}
        self._jails = jails
        self._concerned: dict[tuple[str, str], tuple[Jail, ...]] = {}

    def of(self, source: str, rule: str, address: str) -> tuple[Listener, ...]:
        """The jails that count what this rule finds in this source, as they hear of the address."""
        return self.known.get((source, rule, address)) or self.find(source, rule, address)

    def find(self, source: str, rule: str, address: str) -> tuple[Listener, ...]:
        """As `of`, for what is not known."""
        if (source, rule) not in self._concerned:
            of = source, rule.partition("/")[0]
            jails = (jail for jail in self._jails.values() if jail.of == of)
            self._concerned[source, rule] = tuple(jails)
        found = tuple(jail.listener(address) for jail in self._concerned[source, rule])
        if len(self.known) >= _REMEMBERED:
            self.known.clear()
        self.known[source, rule, address] = found
        return found


class Engine:
    """All jails and the ledger.

    findtime: what is older counts in no jail (s).
    on_banned: is told of every failure of a banned subject, with the ticks of its line.
    """

    def __init__(
        self, rules: Iterable[JailSettings], own: Sequence[Network] = (),
        breaker: OutageSettings | None = None,
    ) -> None:  # fmt: skip
        self.ledger = Ledger()
        self.breaker = Breaker(breaker or OutageSettings())
        self.jails: dict[str, Jail] = {}
        self.on_banned: Callable[[Subject, Failure, float | None], None] | None = None
        self.configure(rules, own)

    def configure(
        self,
        rules: Iterable[JailSettings],
        own: Sequence[Network] = (),
        now: float = 0.0,
        ignore: Sequence[Network] = (),
    ) -> list[Unban]:
        """New rules for all jails; bans and counts stay, save those of now ignored subjects.

        own: this host's addresses. ignore: what holds for bans in no configured jail.
        """
        before, self.jails = self.jails, {}
        self._listening = Listening(self.jails)
        for one in rules:
            jail = before.get(one.name)
            if jail is None:
                jail = Jail(one, own)
            else:
                jail.change(one, own)
            self.jails[one.name] = jail
        self.findtime = max((jail.rules.findtime for jail in self.jails.values()), default=0.0)
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
    ) -> list[Decision]:
        """Counts a failure of a source in every jail that it concerns.

        at: when it counts. ticks: when its line was read, for reaction times. A strict jail does
        not ask about a failure that is too old to count: new ones would have to wait for that.
        """
        decisions: list[Decision] = []
        suspended: bool | None = None
        key = source, failure.pattern, failure.address
        bans, on_banned, age = self.ledger.bans, self.on_banned, now - at
        for jail, name, subject, network, picky, strict, outage, findtime in (
            self._listening.known.get(key) or self._listening.find(*key)
        ):  # fmt: skip
            if subject is None:
                jail.ignored_total += 1
                continue
            if picky and not jail.concerns(failure):
                continue
            if subject in bans or network in bans:
                banned = subject if subject in bans else network
                if on_banned is not None and banned is not None:
                    on_banned(banned, failure, ticks)
                    on_banned = None  # once for each failure
                # What a banned subject still gets into the log (its last lines, an open session)
                # must neither prolong the ban nor wait for its end.
                if self.ledger.holds(name, subject, network):
                    jail.failures_total += not strict
                    continue
            if outage:
                if suspended is None:
                    opening = self.breaker.failure(subject_of(failure.address), at)
                    if opening is not None:
                        decisions += self._undo(opening, now)
                    suspended = self.breaker.suspends(at)
                if suspended:
                    jail.suspended_total += 1
                    continue
            if age >= findtime:
                jail.failures_total += not strict
            elif not strict:
                if ban := self._count(jail, subject, failure, at, now, ticks):
                    decisions.append(ban)
            elif failure.user is not None:
                decisions.append(Question(name, failure.user, failure, at, ticks))
        return decisions

    def deaf(self, source: str, rule: str, address: str) -> bool:
        """Whether no jail counts what the rule finds of this address, since all keep it out."""
        holds = self.ledger.holds
        for _, name, subject, network, *_ in self._listening.of(source, rule, address):
            if subject is None or not holds(name, subject, network):
                return False
        return True

    def sign(self, sign: Sign, at: float, now: float) -> list[Decision]:
        """Takes note of a good login, or of a server's word that its login backend fails."""
        subject = None if sign.address is None else subject_of(sign.address)
        if sign.kind == "outage":
            return self._undo(self.breaker.outage(at, sign.pattern, subject), now)
        if subject is not None:
            self.breaker.success(subject, at)
        return []

    def _undo(self, opening: Opening | None, now: float) -> list[Decision]:
        """Forgets what an outage made jails count, and whom they banned for it."""
        if opening is None:
            return []
        undone: list[Decision] = [opening]
        for jail in self.jails.values():
            if jail.rules.outage:
                jail.windows.drop(opening.since, opening.until)
        for ban in list(self.ledger):
            banned_by = self.jails.get(ban.jail)
            within = opening.since <= ban.since < opening.until
            if within and ban.failures and banned_by is not None and banned_by.rules.outage:
                banned_by.offences.take_back(ban.subject)
                unban = self.ledger.lift(ban.subject, ban.jail, now, "made during an outage")
                undone += [unban] if unban else []
        return undone

    def answer(self, question: Question, exists: bool | None, now: float) -> Ban | None:
        """Counts a questioned failure if its account surely does not exist."""
        jail = self.jails.get(question.jail)
        if exists is not False or jail is None:
            return None
        failure, at = question.failure, question.at
        key = jail.rules.source, failure.pattern, failure.address
        for _, name, subject, network, *_ in self._listening.of(*key):
            if name == question.jail and subject is not None:
                if jail.rules.outage and self.breaker.suspends(at):
                    return None
                # Asked again, since the answer to another question may have led to the ban.
                if not self.ledger.holds(name, subject, network):
                    return self._count(jail, subject, failure, at, now, question.ticks)
                jail.failures_total += 1
        return None

    def _count(
        self, jail: Jail, subject: Subject, failure: Failure, at: float, now: float,
        ticks: float | None,
    ) -> Ban | None:  # fmt: skip
        jail.failures_total += 1
        if at <= now - jail.rules.findtime:
            return None
        ban = jail.count(subject, failure, at, ticks)
        if ban is None or not ban.is_active(now):
            return None
        return self._enter(jail, self._widened(jail, ban))

    def _widened(self, jail: Jail, ban: Ban) -> Ban:
        """The ban, or that of the whole network, unless one of its clients has logged in lately."""
        network = jail.crowd(ban)
        if network is None or self.breaker.knows(network_of(network)):
            return ban
        reason = f"{ban.reason} ({jail.rules.widen_after} clients of the network banned)"
        return ban._replace(subject=network, reason=reason)

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
                if jail in (None, name):
                    one.forget(subject)
        return lifted

    def expire(self, now: float) -> list[Unban]:
        """Ends the bans whose time has come."""
        return self.ledger.expire(now)

    def restore(self, saved: Saved, now: float) -> None:
        """Takes up where an earlier run stopped; bans that have ended meanwhile stay out."""
        for ban in saved.bans:
            if ban.is_active(now):
                self.ledger.add(ban)
                if ban.jail in self.jails:
                    self.jails[ban.jail].crowd(ban)
        for (name, subject), times in saved.windows.items():
            if name in self.jails:
                recent = tuple(t for t in times if t > now - self.jails[name].rules.findtime)
                self.jails[name].windows.restore(subject, recent)

    def changed_windows(self, but: Collection[str] = ()) -> dict[WindowKey, tuple[float, ...]]:
        """The windows that changed since they were last asked for; an empty tuple where nothing is
        left. but: sources whose jails are to be left for later.
        """
        changed = {}
        for name, jail in self.jails.items():
            windows = jail.windows
            if windows.changed and (jail.rules.unknown_accounts or jail.rules.source not in but):
                changed.update({(name, who): windows.times(who) for who in windows.changed})
                windows.changed.clear()
        return changed


def known(engine: Engine, networks: Iterable[Network]) -> list[Subject]:
    """Everybody in these networks who is banned or has failures on record, each once."""
    windows = [jail.windows for jail in engine.jails.values()]
    held: list[Ledger | Windows] = [engine.ledger, *windows]
    found: dict[Subject, None] = {}
    for network in networks:
        if network.num_addresses > 1:
            found.update(dict.fromkeys(chain(*(one.within(network) for one in held))))
        else:  # Then there are few subjects that it can be in, and nobody else is looked at.
            subjects = _holding(network)
            found.update(dict.fromkeys(s for s in subjects if any(s in one for one in held)))
    return list(found)


def _holding(address: Network) -> list[Subject]:
    """Every subject, of whatever size, that holds the address; the smallest first."""
    lengths = range(address.prefixlen, -1, -1)
    return [Subject(str(address.supernet(new_prefix=length))) for length in lengths]

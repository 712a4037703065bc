"""The engine: failures, logins and outages go in, bans and everything else that follows come out.

It is synchronous and owns all counts. Work that has to wait (an account database, the firewall) is
left to the caller: the engine returns an AccountCheck, and the caller passes the answer to
`resolve`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from mailbanned.address import Network, Subject, network_of, subject_of
from mailbanned.jails.events import (
    MANUAL,
    AccountCheck,
    Event,
    RestoredState,
    SeenWhileBanned,
    WindowKey,
)
from mailbanned.jails.ignore import IgnoreList
from mailbanned.jails.jail import Jail
from mailbanned.jails.ledger import Ledger
from mailbanned.jails.outage import OutageDetected, OutageDetector
from mailbanned.jails.routing import Routes
from mailbanned.jails.settings import JailSettings, OutageSettings
from mailbanned.jails.window import SlidingWindows
from mailbanned.model import Ban, Failure, LoginSucceeded, OutageReported, Unban


class Engine:
    """All jails, the ledger and the outage detector.

    findtime: the longest of all jails; an older failure counts in no jail (s).
    """

    def __init__(
        self,
        settings: Iterable[JailSettings],
        own_addresses: Sequence[Network] = (),
        outage: OutageSettings | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.outage_detector = OutageDetector(outage or OutageSettings())
        self.jails: dict[str, Jail] = {}
        self.configure(settings, own_addresses)

    def configure(
        self,
        settings: Iterable[JailSettings],
        own_addresses: Sequence[Network] = (),
        now: float = 0.0,
        ignore: Sequence[Network] = (),
    ) -> list[Unban]:
        """Sets the settings of all jails. Bans and counts are kept, but bans of subjects that are
        ignored now are lifted and returned.

        own_addresses: of this host. ignore: networks ignored by bans of no configured jail.
        """
        before, self.jails = self.jails, {}
        self._routes = Routes(self.jails)
        for jail_settings in settings:
            jail = before.get(jail_settings.name)
            if jail is None:
                jail = Jail(jail_settings, own_addresses)
            else:
                jail.configure(jail_settings, own_addresses)
            self.jails[jail_settings.name] = jail
        self.findtime = max((jail.settings.findtime for jail in self.jails.values()), default=0.0)
        default_ignore = IgnoreList((*ignore, *own_addresses))
        lifted = []
        for ban in list(self.ledger):
            banned_by = self.jails.get(ban.jail)
            ignored = banned_by.ignore if banned_by else default_ignore
            if ignored.touched_by(network_of(ban.subject)):
                unban = self.ledger.lift(ban.subject, ban.jail, now, "ignored now")
                lifted += [unban] if unban else []
        return lifted

    def observe(
        self,
        source: str,
        failure: Failure,
        at: float,
        now: float,
        read_monotonic: float | None = None,
    ) -> list[Event]:
        """Counts a failure in all jails of its source and filter; returns what follows.

        at: when it counts. read_monotonic: when its line was read; None for caught-up lines.
        """
        events: list[Event] = []
        bans, age = self.ledger.bans, now - at
        suspended: bool | None = None
        is_reported = read_monotonic is None  # only live lines say something about bans
        # One loop without calls for a banned subject, since attackers go on for hours: with a
        # method for the verdict on each route and an enum it takes twice the time.
        for route in self._routes[source, failure.pattern, failure.address]:
            jail, name, subject, network, selective, unknown_accounts, outage, findtime = route
            if subject is None:
                jail.ignored_total += 1
                continue
            if selective and not jail.accepts(failure):
                continue
            if subject in bans or network in bans:
                if not is_reported and read_monotonic is not None:
                    banned = subject if subject in bans else network or subject
                    events.append(SeenWhileBanned(banned, failure, read_monotonic))
                    is_reported = True  # once for each failure
                # What a banned subject still gets into the log (its last lines, an open session)
                # must neither prolong the ban nor count after its end.
                if self.ledger.is_banned(name, subject, network):
                    jail.failures_total += not unknown_accounts
                    continue
            if outage:
                if suspended is None:
                    suspended = self._is_suspended(failure, at, now, events)
                if suspended:
                    jail.suspended_total += 1
                    continue
            if age >= findtime:
                jail.failures_total += not unknown_accounts
            elif not unknown_accounts:
                if ban := self._count(jail, subject, failure, at, now, read_monotonic):
                    events.append(ban)
                    is_reported = True  # other jails must not report the ban that was just made
            elif failure.user is not None:
                events.append(AccountCheck(name, failure.user, failure, at, read_monotonic))
        return events

    def on_login(self, login: LoginSucceeded, at: float) -> None:
        """Records a successful login: evidence that the login backend works."""
        self.outage_detector.on_login(subject_of(login.address), at)

    def on_outage(self, outage: OutageReported, at: float, now: float) -> list[Event]:
        """Records a server's report that its login backend fails; returns what follows."""
        subject = None if outage.address is None else subject_of(outage.address)
        return self._undo(self.outage_detector.on_report(at, outage.pattern, subject), now)

    def _is_suspended(self, failure: Failure, at: float, now: float, events: list[Event]) -> bool:
        """Whether an outage explains the failure; adds the outage that the failure reveals."""
        detected = self.outage_detector.on_failure(subject_of(failure.address), at)
        events += self._undo(detected, now)
        return self.outage_detector.suspends(at)

    def _undo(self, outage: OutageDetected | None, now: float) -> list[Event]:
        """Drops the failures and lifts the bans that an outage explains."""
        if outage is None:
            return []
        events: list[Event] = [outage]
        for jail in self.jails.values():
            if jail.settings.outage:
                jail.windows.drop_between(outage.since, outage.until)
        for ban in list(self.ledger):
            banned_by = self.jails.get(ban.jail)
            within = outage.since <= ban.since < outage.until
            if within and ban.failures and banned_by is not None and banned_by.settings.outage:
                banned_by.ban_history.undo_last(ban.subject)
                unban = self.ledger.lift(ban.subject, ban.jail, now, "made during an outage")
                events += [unban] if unban else []
        return events

    def resolve(self, check: AccountCheck, exists: bool | None, now: float) -> Ban | None:
        """Counts a checked failure if its account does not exist; returns the ban that follows.

        exists: None if the account database gave no answer.
        """
        jail = self.jails.get(check.jail)
        if exists is not False or jail is None:
            return None
        failure, at = check.failure, check.at
        for route in self._routes[jail.settings.source, failure.pattern, failure.address]:
            if route.name == check.jail and route.subject is not None:
                if route.outage and self.outage_detector.suspends(at):
                    return None
                # The answer to another check may have banned the subject meanwhile.
                if not self.ledger.is_banned(route.name, route.subject, route.network):
                    return self._count(jail, route.subject, failure, at, now, check.read_monotonic)
                jail.failures_total += 1
        return None

    def _count(
        self,
        jail: Jail,
        subject: Subject,
        failure: Failure,
        at: float,
        now: float,
        read_monotonic: float | None,
    ) -> Ban | None:
        """Counts a failure in a jail; records and returns the ban if it leads to one."""
        jail.failures_total += 1
        if at <= now - jail.settings.findtime:
            return None
        ban = jail.count(subject, failure, at, read_monotonic)
        if ban is None or not ban.is_active(now):
            return None
        return self._record(jail, self._widen(jail, ban))

    def _widen(self, jail: Jail, ban: Ban) -> Ban:
        """The ban, or that of the whole network unless one of its clients has logged in."""
        network = jail.widen(ban)
        if network is None or self.outage_detector.has_client_in(network_of(network)):
            return ban
        reason = f"{ban.reason} ({jail.settings.widen_after} clients of the network banned)"
        return ban._replace(subject=network, reason=reason)

    def _record(self, jail: Jail | None, ban: Ban) -> Ban:
        self.ledger.add(ban)
        if jail is not None:
            jail.banned_total += 1
        return ban

    def ban(
        self,
        network: Network,
        now: float,
        until: float | None,
        *,
        jail: str = MANUAL,
        reason: str = "",
    ) -> Ban:
        """Records and returns a ban by hand. The caller has called `ignored` before."""
        subject = Subject(str(network))
        return self._record(self.jails.get(jail), Ban(jail, subject, now, until, 0, None, reason))

    def ignored(self, network: Network, also: Iterable[Network] = ()) -> Network | None:
        """The ignored network (of any jail, or of `also`) that a ban would touch, or None."""
        networks = dict.fromkeys(also)
        for jail in self.jails.values():
            networks.update(dict.fromkeys(jail.ignore.networks))
        return IgnoreList(networks).touched_by(network)

    def unban(
        self, subjects: Iterable[Subject], now: float, jail: str | None = None
    ) -> list[Unban]:
        """Lifts the bans of subjects, and drops their counts, in all jails or in one."""
        lifted = []
        for subject in subjects:
            for name in [jail] if jail else [ban.jail for ban in self.ledger.bans_of(subject)]:
                if unban := self.ledger.lift(subject, name, now, "by hand"):
                    lifted.append(unban)
            for name, counting in self.jails.items():
                if jail in (None, name):
                    counting.forget(subject)
        return lifted

    def expire(self, now: float) -> list[Unban]:
        """Removes and returns the bans whose end has come."""
        return self.ledger.expire(now)

    def restore(self, state: RestoredState, now: float) -> None:
        """Adds the bans and counts of an earlier run, except those that have expired."""
        for ban in state.bans:
            if ban.is_active(now):
                self.ledger.add(ban)
                if ban.jail in self.jails:
                    self.jails[ban.jail].widen(ban)
        for (name, subject), times in state.windows.items():
            if name in self.jails:
                oldest = now - self.jails[name].settings.findtime
                recent = tuple(at for at in times if at > oldest)
                self.jails[name].windows.restore(subject, recent)

    def changed_windows(
        self, except_sources: Collection[str] = ()
    ) -> dict[WindowKey, tuple[float, ...]]:
        """The windows that have changed since the last call; empty ones as an empty tuple.

        except_sources: the jails of these sources are left for a later call, save those that
            count unknown accounts only.
        """
        changed = {}
        for name, jail in self.jails.items():
            windows, settings = jail.windows, jail.settings
            is_due = settings.unknown_accounts or settings.source not in except_sources
            if windows.changed and is_due:
                changed.update({(name, who): windows.times(who) for who in windows.changed})
                windows.changed.clear()
        return changed

    def subjects_in(self, networks: Iterable[Network]) -> list[Subject]:
        """All subjects that share an address with one of the networks and are banned or have
        failures on record, each once.
        """
        windows = [jail.windows for jail in self.jails.values()]
        stores: list[Ledger | SlidingWindows] = [self.ledger, *windows]
        subjects: dict[Subject, None] = {}
        for network in networks:
            if network.num_addresses > 1:
                inside = chain.from_iterable(store.subjects_in(network) for store in stores)
                subjects.update(dict.fromkeys(inside))
            else:  # Few subjects contain one address, and a look at each is fast.
                for subject in _subjects_containing(network):
                    if any(subject in store for store in stores):
                        subjects[subject] = None
        return list(subjects)


def _subjects_containing(address: Network) -> list[Subject]:
    """The subjects of all sizes that contain an address, the smallest first."""
    lengths = range(address.prefixlen, -1, -1)
    return [Subject(str(address.supernet(new_prefix=length))) for length in lengths]

"""How many clients of one network a jail has banned lately, so that a ban may fall on the network.

Known limit: the 10,000 networks in which somebody was banned last are remembered.

How often each subject was banned before in one jail, so that bans may grow.

Known limit: the 50,000 subjects that were banned last are remembered.

One jail: which failures count, how many make a ban, and how long it lasts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from mailbanned.address import Network, Subject, network_of, subject_of
from mailbanned.jails.dedup import Attempts
from mailbanned.jails.ignore import IgnoreList
from mailbanned.jails.settings import JailSettings
from mailbanned.jails.window import Windows
from mailbanned.model import Ban, Failure

_NETWORKS_REMEMBERED = 10_000


class Neighbours:
    """Banned subjects, and when, by the network that they are in."""

    def __init__(self) -> None:
        self._banned: OrderedDict[Subject, dict[Subject, float]] = OrderedDict()

    def note(self, network: Subject, subject: Subject, at: float, findtime: float) -> int:
        """A subject of the network is banned; returns how many were within findtime before."""
        banned = self._banned.setdefault(network, {})
        self._banned.move_to_end(network)
        banned[subject] = at
        for other in [who for who, since in banned.items() if since <= at - findtime]:
            del banned[other]
        if len(self._banned) > _NETWORKS_REMEMBERED:
            self._banned.popitem(last=False)
        return len(banned)

    def forget(self, network: Subject) -> None:
        """Nobody in this network was banned."""
        self._banned.pop(network, None)


def around(subject: Subject, ipv4: int, ipv6: int) -> Subject | None:
    """The network that a subject is in, by the length of its prefix; None if it is no wider."""
    network = network_of(subject)
    length = ipv4 if network.version == 4 else ipv6
    if network.prefixlen <= length:
        return None
    return Subject(str(network.supernet(new_prefix=length)))


_BANS_REMEMBERED = 50_000
# A century; beyond it dates cannot be computed with.
_LONGEST = 100 * 365 * 86400.0


class Offences:
    """Bans in a row: whoever stays quiet for `forgive` seconds after a ban's end begins anew."""

    def __init__(self) -> None:
        # In the order of the last ban: how many there were in a row, and when the last one ends.
        self._bans: OrderedDict[Subject, tuple[int, float]] = OrderedDict()

    def before(self, subject: Subject, at: float, forgive: float) -> int:
        """How many bans count against a subject that is banned at that time."""
        bans, end = self._bans.get(subject, (0, 0.0))
        return bans if at - end <= forgive else 0

    def note(self, subject: Subject, at: float, until: float, forgive: float) -> None:
        """One more ban."""
        self._bans[subject] = self.before(subject, at, forgive) + 1, until
        self._bans.move_to_end(subject)
        if len(self._bans) > _BANS_REMEMBERED:
            self._bans.popitem(last=False)

    def take_back(self, subject: Subject) -> None:
        """The last ban was a mistake."""
        bans, end = self._bans.get(subject, (0, 0.0))
        if bans > 1:
            self._bans[subject] = bans - 1, end
        else:
            self.forget(subject)

    def forget(self, subject: Subject) -> None:
        """All is forgiven."""
        self._bans.pop(subject, None)


def grown(bantime: float, factor: float, before: int, most: float | None) -> float:
    """How long a ban lasts (s) after so many before it. most: the longest; None is a century."""
    longest = _LONGEST if most is None else min(most, _LONGEST)
    # What is multiplied a thousand times is beyond any limit, and must not be beyond floats.
    return max(bantime, min(longest, bantime * min(factor ** min(before, 50), 1e12)))


class Listener(NamedTuple):
    """A jail that hears of an address: as which subject (nobody if it ignores it), in which
    network (if that may be banned for it); whether it looks closer at a failure before it counts;
    and three of its rules.
    """

    jail: Jail
    name: str
    subject: Subject | None
    network: Subject | None
    picky: bool
    strict: bool
    outage: bool
    findtime: float


class Jail:
    """A jail at work: its rules, its windows and what it has seen so far."""

    def __init__(self, rules: JailSettings, own: Sequence[Network] = ()) -> None:
        self.windows = Windows(rules.findtime, rules.maxretry)
        self._attempts = Attempts()
        self.offences = Offences()
        self.neighbours = Neighbours()
        self.failures_total = 0
        self.banned_total = 0
        self.ignored_total = 0
        self.suspended_total = 0
        self.change(rules, own)

    def change(self, rules: JailSettings, own: Sequence[Network]) -> None:
        """New rules and own addresses; what was counted stays."""
        self.rules = rules
        self.of = rules.source, rules.filter
        self.ignore = IgnoreList((*rules.ignore, *(own if rules.ignore_own_addresses else ())))
        self.windows.resize(rules.findtime, rules.maxretry)

    def subject(self, address: str) -> Subject | None:
        """Under which subject failures of the address count here; None if they are ignored."""
        if self.ignore.covers(address):
            return None
        subject = subject_of(address, self.rules.ipv6_prefix)
        # A ban of the whole prefix would take an ignored neighbour along: then only the one.
        if ":" in address and self.ignore.touched_by(network_of(subject)):
            return subject_of(address, 128)
        return subject

    def listener(self, address: str) -> Listener:
        """How this jail hears of an address."""
        rules, subject = self.rules, self.subject(address)
        network = None if subject is None else self.network(subject)
        strict, picky = rules.unknown_accounts, bool(rules.passdb) or rules.unknown_accounts
        return Listener(
            self, rules.name, subject, network, picky, strict, rules.outage, rules.findtime
        )

    def network(self, subject: Subject) -> Subject | None:
        """The network that may be banned for what its subjects do; None if there is none."""
        rules = self.rules
        if not rules.widen_after:
            return None
        network = around(subject, rules.widen_ipv4, rules.widen_ipv6)
        spared = network is None or self.ignore.touched_by(network_of(network))
        return None if spared else network

    def crowd(self, ban: Ban) -> Subject | None:
        """The network to be banned instead, if enough of it was banned within findtime."""
        network = self.network(ban.subject)
        if network is None:
            return None
        banned = self.neighbours.note(network, ban.subject, ban.since, self.rules.findtime)
        return network if banned >= self.rules.widen_after else None

    def concerns(self, failure: Failure) -> bool:
        """Whether the failure is of a kind that this jail counts, whoever it is from."""
        rules = self.rules
        if rules.passdb and failure.passdb not in (None, rules.passdb):
            return False
        return failure.user is not None or not rules.unknown_accounts

    def count(
        self, subject: Subject, failure: Failure, at: float, ticks: float | None
    ) -> Ban | None:
        """Counts the attempts that the failure tells of; the ban if maxretry is reached."""
        news, maxretry = self._attempts.news(subject, failure, at), self.rules.maxretry
        failures = 0
        if maxretry == 1:  # what would be noted now would be forgotten at once
            failures = min(1, news)
        else:
            for _ in range(news):
                failures = self.windows.add(subject, at)
                if failures >= maxretry:
                    break
        if failures < maxretry:
            return None
        self.windows.forget(subject)
        until = self._until(subject, at)
        name, user, rule = self.rules.name, failure.user, failure.pattern
        return Ban(name, subject, at, until, failures, user, rule, ticks)

    def _until(self, subject: Subject, at: float) -> float | None:
        """When a ban that begins now ends; a growing one is remembered for the next one."""
        rules = self.rules
        if rules.bantime is None:
            return None
        if rules.bantime_factor == 1:
            return at + rules.bantime
        before = self.offences.before(subject, at, rules.bantime_forgive)
        until = at + grown(rules.bantime, rules.bantime_factor, before, rules.bantime_max)
        self.remember(subject, at, until)
        return until

    def remember(self, subject: Subject, at: float, until: float) -> None:
        """A ban, after which the next one lasts longer."""
        if self.rules.bantime_factor != 1:
            self.offences.note(subject, at, until, self.rules.bantime_forgive)

    def forget(self, subject: Subject) -> None:
        """Drops what was counted for the subject."""
        self._attempts.forget(subject)
        self.offences.forget(subject)
        self.windows.forget(subject)
        self.neighbours.forget(self.network(subject) or subject)

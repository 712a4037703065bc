"""One jail: which failures count, how many lead to a ban, how long it lasts and how wide it is.

Known limits: a jail remembers the 50,000 most recently banned subjects to lengthen their next
bans, and the 10,000 networks with the most recent bans to widen bans.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailbanned.address import Network, Subject, network_of, subject_of
from mailbanned.bounded import BoundedDict
from mailbanned.jails.dedup import AttemptDeduplicator
from mailbanned.jails.ignore import IgnoreList
from mailbanned.jails.settings import JailSettings
from mailbanned.jails.window import SlidingWindows
from mailbanned.model import Ban, Failure

_MAX_NETWORKS = 10_000
_MAX_BAN_HISTORY = 50_000
# The longest temporary ban (s): a century. Dates beyond it cannot be represented.
_MAX_BANTIME = 100 * 365 * 86400.0


class BannedByNetwork:
    """When subjects were banned, by the network that contains them."""

    def __init__(self) -> None:
        self._banned: BoundedDict[Subject, dict[Subject, float]] = BoundedDict(_MAX_NETWORKS)

    def add(self, network: Subject, subject: Subject, at: float, findtime: float) -> int:
        """Records a ban; returns how many subjects of the network were banned within findtime."""
        banned = self._banned[network] = self._banned.get(network, {})
        banned[subject] = at
        for expired in [who for who, since in banned.items() if since <= at - findtime]:
            del banned[expired]
        return len(banned)

    def forget(self, network: Subject) -> None:
        """Forgets the bans of a network."""
        self._banned.pop(network, None)


def enclosing_network(subject: Subject, ipv4: int, ipv6: int) -> Subject | None:
    """The network of the given prefix length that contains a subject; None if it is not wider."""
    network = network_of(subject)
    length = ipv4 if network.version == 4 else ipv6
    if network.prefixlen <= length:
        return None
    return Subject(str(network.supernet(new_prefix=length)))


class BanHistory:
    """Consecutive bans of each subject: those with at most `forgive` seconds between them."""

    def __init__(self) -> None:
        # The number of consecutive bans, and the end of the last one.
        self._bans: BoundedDict[Subject, tuple[int, float]] = BoundedDict(_MAX_BAN_HISTORY)

    def count(self, subject: Subject, at: float, forgive: float) -> int:
        """How many consecutive bans precede a ban at that time."""
        bans, end = self._bans.get(subject, (0, 0.0))
        return bans if at - end <= forgive else 0

    def add(self, subject: Subject, at: float, until: float, forgive: float) -> None:
        """Records a ban from `at` to `until`."""
        self._bans[subject] = self.count(subject, at, forgive) + 1, until

    def undo_last(self, subject: Subject) -> None:
        """Removes the last ban from the history."""
        bans, end = self._bans.get(subject, (0, 0.0))
        if bans > 1:
            self._bans[subject] = bans - 1, end
        else:
            self.forget(subject)

    def forget(self, subject: Subject) -> None:
        """Removes all bans of a subject from the history."""
        self._bans.pop(subject, None)


def escalated_bantime(
    bantime: float, factor: float, previous_bans: int, longest: float | None
) -> float:
    """How long a ban lasts after N previous bans (s). longest: None means a century."""
    limit = _MAX_BANTIME if longest is None else min(longest, _MAX_BANTIME)
    # The exponent and the product are capped so that no float can overflow.
    return max(bantime, min(limit, bantime * min(factor ** min(previous_bans, 50), 1e12)))


class Jail:
    """The counts of one jail, by its settings.

    feed: the source and the filter whose failures it counts.
    failures_total, ignored_total, suspended_total: failures that were counted; of ignored
        addresses; during outages. banned_total: bans.
    """

    def __init__(self, settings: JailSettings, own_addresses: Sequence[Network] = ()) -> None:
        self.windows = SlidingWindows(settings.findtime, settings.maxretry)
        self.ban_history = BanHistory()
        self._deduplicator = AttemptDeduplicator()
        self._banned_by_network = BannedByNetwork()
        self.failures_total = 0
        self.banned_total = 0
        self.ignored_total = 0
        self.suspended_total = 0
        self.configure(settings, own_addresses)

    def configure(self, settings: JailSettings, own_addresses: Sequence[Network]) -> None:
        """Sets new settings and own addresses of this host; counts are kept."""
        self.settings = settings
        self.feed = settings.source, settings.filter
        self.ignore = IgnoreList(
            (*settings.ignore, *(own_addresses if settings.ignore_own_addresses else ()))
        )
        self.windows.resize(settings.findtime, settings.maxretry)

    def subject(self, address: str) -> Subject | None:
        """The subject under which failures of the address count; None if they are ignored."""
        if self.ignore.covers(address):
            return None
        subject = subject_of(address, self.settings.ipv6_prefix)
        # A ban of the whole prefix would include an ignored neighbour, so the address alone counts.
        if ":" in address and self.ignore.touched_by(network_of(subject)):
            return subject_of(address, 128)
        return subject

    def network(self, subject: Subject) -> Subject | None:
        """The network that may be banned for its subjects' failures; None if there is none."""
        settings = self.settings
        if not settings.widen_after:
            return None
        network = enclosing_network(subject, settings.widen_ipv4, settings.widen_ipv6)
        if network is None or self.ignore.touched_by(network_of(network)):
            return None
        return network

    def widen(self, ban: Ban) -> Subject | None:
        """Records a ban; returns the network to ban instead once enough of it is banned."""
        network = self.network(ban.subject)
        if network is None:
            return None
        banned = self._banned_by_network.add(
            network, ban.subject, ban.since, self.settings.findtime
        )
        return network if banned >= self.settings.widen_after else None

    def accepts(self, failure: Failure) -> bool:
        """Whether the jail counts failures of this kind, whatever their address is."""
        settings = self.settings
        if settings.passdb and failure.passdb not in (None, settings.passdb):
            return False
        return failure.user is not None or not settings.unknown_accounts

    def count(
        self, subject: Subject, failure: Failure, at: float, read_monotonic: float | None
    ) -> Ban | None:
        """Counts the attempts that a failure reports; returns the ban if maxretry is reached."""
        attempts = self._deduplicator.new_attempts(subject, failure, at)
        maxretry = self.settings.maxretry
        failures = 0
        if maxretry == 1:  # the window would be forgotten at once
            failures = min(1, attempts)
        else:
            for _ in range(attempts):
                failures = self.windows.add(subject, at)
                if failures >= maxretry:
                    break
        if failures < maxretry:
            return None
        self.windows.forget(subject)
        until = self._until(subject, at)
        return Ban(
            self.settings.name, subject, at, until, failures, failure.user, failure.pattern,
            read_monotonic,
        )  # fmt: skip

    def _until(self, subject: Subject, at: float) -> float | None:
        """The end of a ban that begins at a time; records it if repeated bans are longer."""
        settings = self.settings
        if settings.bantime is None:
            return None
        if settings.bantime_factor == 1:
            return at + settings.bantime
        previous = self.ban_history.count(subject, at, settings.bantime_forgive)
        until = at + escalated_bantime(
            settings.bantime, settings.bantime_factor, previous, settings.bantime_max
        )
        self.record_ban(subject, at, until)
        return until

    def record_ban(self, subject: Subject, at: float, until: float) -> None:
        """Records a ban in the history, if repeated bans are longer."""
        if self.settings.bantime_factor != 1:
            self.ban_history.add(subject, at, until, self.settings.bantime_forgive)

    def forget(self, subject: Subject) -> None:
        """Drops all counts and the history of a subject."""
        self._deduplicator.forget(subject)
        self.ban_history.forget(subject)
        self.windows.forget(subject)
        self._banned_by_network.forget(self.network(subject) or subject)

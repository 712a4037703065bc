"""Detects outages of the login backend, during which failures are no attacks.

Servers log the same failure for a wrong password and for a dead login backend. Two things are
evidence of an outage:

- a report: a server logs that it cannot reach its backend. No client can make it log that, so one
  report is enough, and only time ends the outage (meanwhile a server may accept logins from a
  cache);
- witnesses: several clients that logged in before fail, or get a temporary failure, within `hold`,
  and nobody has logged in since. Any successful login refutes them: the backend works.

No attacker may use this to stop the counting. Clients that never logged in are no witnesses,
whatever their number, since an odd user name provokes a temporary failure. Neither is a client
that has only failed for 12 hours: that is a forgotten device with an old password. A host with few
clients needs fewer witnesses. An attacker with a stolen password makes its own address a client,
which helps it only if no other client has logged in for a day (or since the program started).

Known limits: clients are forgotten when the program ends. Witnesses older than the newest login, or
by `hold` older than the newest witness, do not count; so of lines that are read out of order only
reports are certain to be used. While a server reports one dead backend of several, nothing counts.
A stolen password used from several addresses makes several witnesses while nobody else logs in.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import NamedTuple

from mailbanned.address import Network, Subject, network_of, overlap
from mailbanned.bounded import BoundedDict
from mailbanned.jails.settings import OutageSettings

# The logs of several servers are read in turn: a failure may be read before its cause.
_LEAD_S = 5.0
# How long after its last login a client is known, and how many are.
_CLIENT_S = 30 * 86400.0
_MAX_CLIENTS = 10_000
# A client that logged in within this time is one that would notice an outage.
_ACTIVE_S = 86400.0
# A client is evidence for this time after its first failure without a login. This time without a
# failure resets that.
_CREDIBLE_S = 12 * 3600.0
# Past outages that are remembered, for lines that are read late.
_MAX_OUTAGES = 128


@dataclass(frozen=True, slots=True)
class OutageDetected:
    """Failures from `since` (included) to `until` must not count, though they may have already.

    reason: the first evidence of the outage. is_new: False if it is longer than was known before.
    """

    since: float
    until: float
    reason: str
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class OutageState:
    """since, until, reason: of the present outage, or else of the latest one.

    suspended_total: failures that did not count. known_clients: clients that have logged in.
    """

    is_open: bool
    since: float | None
    until: float | None
    reason: str
    outages_total: int
    suspended_total: int
    known_clients: int


class _Outage(NamedTuple):
    """From since (included) to until. reported_until: the part that no login can refute."""

    since: float
    until: float
    reported_until: float
    reason: str


class OutageTimeline:
    """Outages in the order of time, with gaps between them; at most 128."""

    def __init__(self) -> None:
        self._outages: list[_Outage] = []

    def clear(self) -> None:
        """Forgets all outages."""
        self._outages = []

    def at(self, at: float) -> _Outage | None:
        """The outage at a time; None if there was none."""
        index = self._index(at)
        return None if index is None else self._outages[index]

    def latest(self) -> _Outage | None:
        """The last outage in time."""
        return self._outages[-1] if self._outages else None

    def add(self, new: _Outage) -> tuple[_Outage, list[_Outage]] | None:
        """Merges an outage with those that overlap or adjoin it; returns the result and what it
        replaces. Returns None if it is older than all that can be remembered.
        """
        left = bisect_left(self._outages, new.since, key=lambda outage: outage.until)
        right = bisect_right(self._outages, new.until, key=lambda outage: outage.since)
        replaced = self._outages[left:right]
        merged = new
        if replaced:
            merged = _Outage(
                min(new.since, replaced[0].since),
                max(new.until, replaced[-1].until),
                max(new.reported_until, *(outage.reported_until for outage in replaced)),
                replaced[0].reason,
            )
        self._outages[left:right] = [merged]
        if len(self._outages) > _MAX_OUTAGES and self._outages.pop(0) is merged:
            return None
        return merged, replaced

    def refute(self, at: float) -> None:
        """Ends the outage at a time there and then, except for what a server reported."""
        index = self._index(at)
        if index is not None:
            outage = self._outages[index]
            until = min(outage.until, max(outage.reported_until, at))
            self._outages[index] = outage._replace(until=until)

    def _index(self, at: float) -> int | None:
        if not self._outages:
            return None
        index = bisect_right(self._outages, at, key=lambda outage: outage.since) - 1
        return index if index >= 0 and at < self._outages[index].until else None


@dataclass(slots=True)
class _Client:
    """logged_in: last login. failing_since, failed: first and last failure in a row after it."""

    logged_in: float
    failing_since: float = inf
    failed: float = -inf


class WitnessDetector:
    """Remembers the clients that log in, and detects when several of them fail together."""

    def __init__(self, settings: OutageSettings) -> None:
        self.settings = settings
        # In the order of the last login.
        self._clients: BoundedDict[Subject, _Client] = BoundedDict(_MAX_CLIENTS)
        # First and last failure of each witness. Not more are kept than are needed to decide.
        self._witnesses: dict[Subject, tuple[float, float]] = {}
        self._last_login = -inf  # of any client

    def __contains__(self, subject: object) -> bool:
        """Whether the subject is a client that has logged in."""
        return subject in self._clients

    def __len__(self) -> int:
        """How many clients have logged in."""
        return len(self._clients)

    def has_client_in(self, network: Network) -> bool:
        """Whether a client in the network has logged in."""
        return any(overlap(network_of(client), network) for client in self._clients)

    def clear_witnesses(self) -> None:
        """Forgets the witnesses, but not the clients."""
        self._witnesses = {}

    def refute(self, at: float) -> None:
        """Forgets the witnesses up to a successful login."""
        self._witnesses = {who: seen for who, seen in self._witnesses.items() if seen[1] > at}
        self._last_login = max(self._last_login, at)

    def add_client(self, subject: Subject, at: float) -> None:
        """Records the login of a client."""
        self._clients[subject] = _Client(at)
        if at - next(iter(self._clients.values())).logged_in > _CLIENT_S:
            self._clients.popitem(last=False)

    def observe(self, subject: Subject, at: float, least: int) -> tuple[float, float] | None:
        """Records that a client cannot log in; returns since and until when this is an outage,
        None if it is not. least: how many witnesses an outage needs at least.
        """
        if not self._is_credible(subject, at):
            return None
        first, last = self._witnesses.get(subject, (at, at))
        self._witnesses[subject] = min(first, at), max(last, at)
        newest = max(last for _, last in self._witnesses.values())
        start = newest - self.settings.hold
        recent = {who: seen for who, seen in self._witnesses.items() if seen[1] > start}
        while len(recent) > max(self.settings.clients, 2):
            del recent[min(recent, key=lambda who: recent[who][1])]
        self._witnesses = recent
        if len(recent) < max(least, self._needed(at)):
            return None
        since = max(start, min(first for first, _ in recent.values()))
        return since, newest + self.settings.hold

    def _is_credible(self, subject: Subject, at: float) -> bool:
        """Whether the subject has logged in, and has not been failing for too long."""
        client = self._clients.get(subject)
        if client is None or at < self._last_login or at - client.logged_in > _CLIENT_S:
            return False
        if at - client.failed > _CREDIBLE_S:
            client.failing_since = at
        client.failed = max(client.failed, at)
        return at - client.failing_since <= _CREDIBLE_S

    def _needed(self, at: float) -> int:
        """How many witnesses an outage needs: not more than there are clients to notice it."""
        newest = islice(reversed(self._clients.values()), self.settings.clients)
        return sum(1 for client in newest if at - client.logged_in <= _ACTIVE_S)


class OutageDetector:
    """Tells which failures happened during an outage of the login backend.

    Times are those at which lines count, in any order, but never later than the present. The caller
    makes subjects of addresses in the same way for logins and failures.
    """

    def __init__(self, settings: OutageSettings) -> None:
        self._timeline = OutageTimeline()
        self._witnesses = WitnessDetector(settings)
        self._last_counted = -inf  # the newest time at which suspends() said that it counts
        self._outages_total = self._suspended_total = 0
        self.settings = settings

    def configure(self, settings: OutageSettings) -> None:
        """Sets new settings. Clients are kept; once disabled, no failure is suspended."""
        self.settings = self._witnesses.settings = settings
        if not settings.enabled:
            self._timeline.clear()
            self._witnesses.clear_witnesses()

    def on_report(
        self, at: float, reason: str, subject: Subject | None = None
    ) -> OutageDetected | None:
        """Records a server's report that its backend fails: for one client, or for all (None).

        Returns the failures that must not count, None if there is nothing to undo.
        """
        if not self.settings.enabled:
            return None
        if subject is None:
            end = at + self.settings.hold
            return self._add(_Outage(at - _LEAD_S, end, end, reason))
        witnessed = self._witnesses.observe(subject, at, 1)
        if witnessed is None:
            return None
        since, until = witnessed
        return self._add(_Outage(since - _LEAD_S, until, -inf, reason))

    def on_failure(self, subject: Subject, at: float) -> OutageDetected | None:
        """Records a failure that an outage would explain; returns what on_report returns.

        To be called before `suspends` is asked about the failure.
        """
        if not self.settings.enabled or subject not in self._witnesses:
            return None
        witnessed = self._witnesses.observe(subject, at, 2)
        if witnessed is None:
            return None
        return self._add(_Outage(*witnessed, -inf, "clients that logged in before fail"))

    def on_login(self, subject: Subject, at: float) -> None:
        """Records a login: it refutes earlier witnesses, and the subject is a known client now."""
        self._witnesses.refute(at)
        self._timeline.refute(at)
        # A login during an outage comes from a cache, and proves nothing about the client.
        if self._timeline.at(at) is None:
            self._witnesses.add_client(subject, at)

    def has_client_in(self, network: Network) -> bool:
        """Whether a client in the network has logged in."""
        return self._witnesses.has_client_in(network)

    def suspends(self, at: float) -> bool:
        """Whether a failure at that time must not count. To be called once for each failure.

        If it turns out later that the failure should not have counted, an OutageDetected follows.
        """
        if self._timeline.at(at) is not None:
            self._suspended_total += 1
            return True
        self._last_counted = max(self._last_counted, at)
        return False

    def state(self, now: float) -> OutageState:
        """The outage at `now`, or else the latest one, and the totals."""
        outage = self._timeline.at(now)
        shown = outage or self._timeline.latest()
        since, until, _, reason = shown or (None, None, None, "")
        totals = self._outages_total, self._suspended_total, len(self._witnesses)
        return OutageState(outage is not None, since, until, reason, *totals)

    def _add(self, new: _Outage) -> OutageDetected | None:
        """Adds an outage; returns it unless all failures in it are known to be suspended."""
        added = self._timeline.add(new)
        if added is None:
            return None
        merged, replaced = added
        self._outages_total += not replaced
        # Nothing is to be undone if it only lasts longer, and no failure after its old end counted.
        old_end = replaced[0].until if replaced and replaced[0].since == merged.since else -inf
        if old_end == merged.until or old_end > self._last_counted:
            return None
        return OutageDetected(merged.since, merged.until, merged.reason, is_new=not replaced)

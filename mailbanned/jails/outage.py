"""What the breaker goes by, and what it tells of outages.

The breaker: an outage is not an attack.

Servers log the same failure for a wrong password and for a dead login backend. Counting pauses on

- a sign: a server says that it cannot reach its backend. No client can make it say so, so one is
  enough, and only time ends it (a server may let clients in from a cache meanwhile);
- witnesses: several clients that logged in before fail, or are told of a temporary failure,
  within `hold`, and nobody has logged in since. Anybody's success refutes them: the backend works.

It must not become an attacker's off switch. Strangers are no witnesses, however many they are: a
temporary failure can be provoked with an odd user name. Nor is a client that has only failed for
half a day: that is a forgotten device with an old password. A host with few clients needs fewer
witnesses. An intruder's own success makes one client more, so that helps only one who has been
alone for a day (or since the program began).

Known limits: clients are forgotten when the program ends. Witnesses older than the newest success,
or by `hold` than the newest witness, are not heard: of lines caught up out of order only signs
tell for sure. While a server complains of one dead backend of several, nothing counts. A stolen
password used from several addresses makes its own witnesses while nobody else logs in.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import NamedTuple

from mailbanned.address import Network, Subject, network_of, overlap
from mailbanned.jails.settings import OutageSettings


@dataclass(frozen=True, slots=True)
class Opening:
    """What is to be undone: failures from `since` (included) to `until` should not have counted.

    reason: what the outage was first known by. new: False if it was reported before, but smaller.
    """

    since: float
    until: float
    reason: str
    new: bool = True


@dataclass(frozen=True, slots=True)
class BreakerState:
    """How things stand. since, until, reason: of the present outage, or else of the latest one.

    suspended_total: failures that did not count. known: clients that have logged in.
    """

    open: bool
    since: float | None
    until: float | None
    reason: str
    openings_total: int
    suspended_total: int
    known: int


# The logs of several servers are read one after another: a failure may stand before its cause.
_LEAD_S = 5.0
# So long after its last success a client is still known, and so many of them are.
_MEMORY_S = 30 * 86400.0
_CLIENTS = 10_000
# A success within this time makes a client one of those who would notice an outage.
_ACTIVE_S = 86400.0
# So long a client that only fails is believed; and silence as long makes it credible again.
_PATIENCE_S = 12 * 3600.0
# So many outages are remembered, for lines that are read late.
_OUTAGES = 128


class _Outage(NamedTuple):
    """From since (included) to until. No success ends it before `firm`."""

    since: float
    until: float
    firm: float
    reason: str


@dataclass(slots=True)
class _Client:
    """Somebody who has logged in: when last, and since when and until when only failures came."""

    succeeded: float
    began: float = inf
    failed: float = -inf


class Breaker:
    """Tells failures during an outage of the login backend from others.

    Times are those at which lines count, in any order, but never later than the present. Whoever
    makes a subject of an address must do so in the same way for successes and failures.
    """

    def __init__(self, rules: OutageSettings) -> None:
        self.rules = rules
        # In the order of the last success, so that the quiet ones stand in front.
        self._clients: OrderedDict[Subject, _Client] = OrderedDict()
        # First and last failure of each witness. No more of them are kept than decide.
        self._witnesses: dict[Subject, tuple[float, float]] = {}
        self._proven = -inf  # the newest success of anybody
        self._outages: list[_Outage] = []  # in order of time, with gaps between them
        self._passed = -inf  # the newest time of which suspends() has said that it counts
        self._openings_total = self._suspended_total = 0

    def change(self, rules: OutageSettings) -> None:
        """New rules from now on; what is known stays, but switched off nothing is suspended."""
        self.rules = rules
        if not rules.enabled:
            self._outages, self._witnesses = [], {}

    def outage(self, at: float, reason: str, subject: Subject | None = None) -> Opening | None:
        """A server says that its backend fails; with a subject: it says so of this client only.

        Returns what is to be undone, None if nothing is (as while an outage only goes on).
        """
        if not self.rules.enabled:
            return None
        if subject is not None:
            return self._witness(subject, at, 1, _LEAD_S, reason)
        end = at + self.rules.hold
        return self._open(_Outage(at - _LEAD_S, end, end, reason))

    def failure(self, subject: Subject, at: float) -> Opening | None:
        """A failure that an outage would explain; returns as `outage` does.

        To be told before asking whether the failure counts.
        """
        if not self.rules.enabled or subject not in self._clients:
            return None
        return self._witness(subject, at, 2, 0.0, "clients that logged in before fail")

    def success(self, subject: Subject, at: float) -> None:
        """Somebody has logged in: the witnesses before him were wrong, and he is known now."""
        self._refute(at)
        self._proven = max(self._proven, at)
        if self._during(at) is not None:
            return  # by a cache, or whatever lets people in while the backend is down
        self._clients.pop(subject, None)
        self._clients[subject] = _Client(at)
        oldest = next(iter(self._clients.values()))
        if len(self._clients) > _CLIENTS or at - oldest.succeeded > _MEMORY_S:
            self._clients.popitem(last=False)

    def knows(self, network: Network) -> bool:
        """Whether somebody in the network has logged in lately."""
        return any(overlap(network_of(client), network) for client in self._clients)

    def suspends(self, at: float) -> bool:
        """Whether a failure at that time is not to be counted. Ask once for each failure.

        Should the answer "count it" turn out wrong later, an Opening says so.
        """
        if self._during(at) is not None:
            self._suspended_total += 1
            return True
        self._passed = max(self._passed, at)
        return False

    def state(self, now: float) -> BreakerState:
        """How things stand at `now`."""
        index = self._during(now)
        last = self._outages[-1 if index is None else index] if self._outages else None
        since, until, _, reason = last or (None, None, None, "")
        totals = self._openings_total, self._suspended_total, len(self._clients)
        return BreakerState(index is not None, since, until, reason, *totals)

    def _witness(
        self, subject: Subject, at: float, least: int, lead: float, reason: str
    ) -> Opening | None:
        """Hears a client that cannot log in; opens if it is one of enough."""
        if not self._credible(subject, at):
            return None
        first, last = self._witnesses.get(subject, (at, at))
        self._witnesses[subject] = min(first, at), max(last, at)
        newest = max(last for _, last in self._witnesses.values())
        start = newest - self.rules.hold
        heard = {who: seen for who, seen in self._witnesses.items() if seen[1] > start}
        while len(heard) > max(self.rules.clients, 2):
            del heard[min(heard, key=lambda who: heard[who][1])]
        self._witnesses = heard
        if len(heard) < max(least, self._needed(at)):
            return None
        since = max(start, min(first for first, _ in heard.values())) - lead
        return self._open(_Outage(since, newest + self.rules.hold, -inf, reason))

    def _credible(self, subject: Subject, at: float) -> bool:
        """Whether the subject logged in before, and does not fail for too long already."""
        client = self._clients.get(subject)
        if client is None or at < self._proven or at - client.succeeded > _MEMORY_S:
            return False
        if at - client.failed > _PATIENCE_S:
            client.began = at
        client.failed = max(client.failed, at)
        return at - client.began <= _PATIENCE_S

    def _needed(self, at: float) -> int:
        """How many witnesses an outage needs: no more than there are clients to notice it."""
        newest = islice(reversed(self._clients.values()), self.rules.clients)
        return sum(1 for client in newest if at - client.succeeded <= _ACTIVE_S)

    def _refute(self, at: float) -> None:
        """Forgets the witnesses up to a success, and ends there what only they have opened."""
        self._witnesses = {who: seen for who, seen in self._witnesses.items() if seen[1] > at}
        if (index := self._during(at)) is not None:
            outage = self._outages[index]
            self._outages[index] = outage._replace(until=min(outage.until, max(outage.firm, at)))

    def _during(self, at: float) -> int | None:
        """The index of the outage at that time."""
        if not self._outages:
            return None
        index = bisect_right(self._outages, at, key=lambda outage: outage.since) - 1
        return index if index >= 0 and at < self._outages[index].until else None

    def _open(self, new: _Outage) -> Opening | None:
        """Enters an outage, as one with those that it meets."""
        left = bisect_left(self._outages, new.since, key=lambda outage: outage.until)
        right = bisect_right(self._outages, new.until, key=lambda outage: outage.since)
        met = self._outages[left:right]
        whole = new
        if met:
            since, until = min(new.since, met[0].since), max(new.until, met[-1].until)
            firm = max(new.firm, *(outage.firm for outage in met))
            whole = _Outage(since, until, firm, met[0].reason)
        self._outages[left:right] = [whole]
        if len(self._outages) > _OUTAGES and self._outages.pop(0) is whole:
            return None  # older than all that is remembered
        self._openings_total += not met
        # It only goes on if it takes in no time of which suspends() has said that it counts.
        end = met[0].until if met and met[0].since == whole.since else -inf
        if end == whole.until or end > self._passed:
            return None
        return Opening(whole.since, whole.until, whole.reason, new=not met)

"""One jail: which failures count, how many make a ban, and how long it lasts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from mailbanned.jails.ignore import IgnoreList
from mailbanned.jails.window import Windows
from mailbanned.model import Ban, Failure, Network, Subject, network_of, subject_of

# So long after a failure a line may still sum up the connection that it happened in.
_CONNECTION_S = 300.0
# Subjects whose last told failure is remembered for that.
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class JailRules:
    """What the configuration says about a jail. Durations in seconds; bantime None is permanent.

    unknown_accounts: only attempts at accounts that do not exist count.
    """

    name: str
    source: str
    filter: str
    maxretry: int = 3
    findtime: float = 3600.0
    bantime: float | None = 86400.0
    unknown_accounts: bool = False
    ipv6_prefix: int = 64
    ignore: Sequence[Network] = ()
    ignore_own: bool = True


class Jail:
    """A jail at work: its rules, its windows and what it has seen so far."""

    def __init__(self, rules: JailRules, own: Sequence[Network] = ()) -> None:
        self.windows = Windows(rules.findtime, rules.maxretry)
        self._told: OrderedDict[Subject, float] = OrderedDict()
        self.failures_total = 0
        self.banned_total = 0
        self.ignored_total = 0
        self.change(rules, own)

    def change(self, rules: JailRules, own: Sequence[Network]) -> None:
        """New rules and own addresses; what was counted stays."""
        self.rules = rules
        self.ignore = IgnoreList((*rules.ignore, *(own if rules.ignore_own else ())))
        self.windows.resize(rules.findtime, rules.maxretry)

    def subject(self, failure: Failure) -> Subject | None:
        """Under which subject the failure counts here; None if it is to be ignored."""
        if self.ignore.covers(failure.address):
            self.ignored_total += 1
            return None
        subject = subject_of(failure.address, self.rules.ipv6_prefix)
        # A ban of the whole prefix would take an ignored neighbour along: then only the one.
        if failure.address.version == 6 and self.ignore.touched_by(network_of(subject)):
            return subject_of(failure.address, 128)
        return subject

    def count(
        self, subject: Subject, failure: Failure, at: float, ticks: float | None
    ) -> Ban | None:
        """Counts the failure; the ban if it is the one that reaches maxretry.

        A line that sums up a connection counts only if no other line told of the subject lately:
        else two typing errors would be four failures wherever servers log them twice.
        """
        if failure.summary and at - self._told.get(subject, -inf) <= _CONNECTION_S:
            return None
        if not failure.summary:
            self._told[subject] = at
            self._told.move_to_end(subject)
            if len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
        failures = self.windows.add(subject, at)
        if failures < self.rules.maxretry:
            return None
        self.windows.forget(subject)
        bantime = self.rules.bantime
        until = None if bantime is None else at + bantime
        name, user, rule = self.rules.name, failure.user, failure.rule
        return Ban(name, subject, at, until, failures, user, rule, ticks)

"""One failure time for each of very many subjects, in 16 bytes apiece.

Botnets come with a million addresses that fail once each. A list in a dict would take some 300
bytes for one of them; here a subject is a number in a sorted array, its time stands in another
one. There are many short arrays rather than two long ones, so that an insertion moves little; in
which of them a subject is depends on a secret, so that nobody chooses addresses that meet in one.

Known limits: only single IPv4 addresses and IPv6 prefixes of 64 bits can be kept, the others are
refused. There is room for a million; then the oldest make way (see `forgotten`).

The sliding windows of one jail: how many failures of a subject lie within findtime.

The count is exact: a failure at time t counts at `now` while t > now - findtime. Only the newest
maxretry times of a subject are kept, since no more are needed to decide, so an attacker's memory
is bounded. Subjects that have gone quiet are dropped as others come in.

Known limit: of 50,000 subjects with several failures and a million with one, those make way for
newer ones that have been quiet for longest (see `forgotten`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterator
from heapq import nsmallest
from ipaddress import IPv4Address, IPv6Network
from itertools import chain, compress
from math import inf
from secrets import randbits
from socket import AF_INET, AF_INET6, inet_pton

from mailbanned.address import Network, Subject, network_of, overlap

_SHARDS = 256
# What a shard holds at most; of a full one the oldest quarter goes.
_ROOM = 4096
# The lowest number of an IPv6 prefix: below it (in ::/32, which nobody has) stand IPv4 addresses.
_IPV6 = 1 << 32


class _Shard:
    """Subjects as numbers, in order, and their times. due: insertions until the next clean-up."""

    __slots__ = ("due", "numbers", "times")

    def __init__(self) -> None:
        self.numbers = array("Q")
        self.times = array("d")
        self.due = 64

    def keep(self, kept: Callable[[float], bool]) -> list[int]:
        """Drops the times that are not to be kept; returns whose they were."""
        marks = [kept(at) for at in self.times]
        if all(marks):
            return []
        dropped = list(compress(self.numbers, (not mark for mark in marks)))
        self.numbers = array("Q", compress(self.numbers, marks))
        self.times = array("d", compress(self.times, marks))
        return dropped


class Singles:
    """Subjects with one time each.

    forgotten: how many had to make way for newer ones, since there was no more room.
    """

    def __init__(self) -> None:
        self._shards = [_Shard() for _ in range(_SHARDS)]
        self._secret = randbits(64)
        self.forgotten = 0

    def swap(self, subject: Subject, at: float, quiet: float) -> float | None:
        """Keeps the time of a subject that has none, and returns None. If it has one already, that
        is taken out and returned; -inf if no time of this subject can be kept here.

        quiet: times up to this one are of no more use.
        """
        number = _number(subject)
        if number is None:
            return -inf
        shard = self._shards[hash((number, self._secret)) % _SHARDS]
        numbers = shard.numbers
        index = bisect_left(numbers, number)
        if index < len(numbers) and numbers[index] == number:
            del numbers[index]
            return shard.times.pop(index)
        numbers.insert(index, number)
        shard.times.insert(index, at)
        shard.due -= 1
        if not shard.due or len(numbers) > _ROOM:
            self._clean(shard, quiet)
        return None

    def _clean(self, shard: _Shard, quiet: float) -> None:
        shard.keep(lambda at: at > quiet)
        if len(shard.times) > _ROOM:
            newest_to_go = max(nsmallest(_ROOM // 4, shard.times))
            self.forgotten += len(shard.keep(lambda at: at > newest_to_go))
        shard.due = max(64, len(shard.times) // 2)

    def _find(self, subject: Subject) -> tuple[_Shard, int] | None:
        number = _number(subject)
        if number is None:
            return None
        shard = self._shards[hash((number, self._secret)) % _SHARDS]
        index = bisect_left(shard.numbers, number)
        found = index < len(shard.numbers) and shard.numbers[index] == number
        return (shard, index) if found else None

    def get(self, subject: Subject) -> float | None:
        """The time of a subject; None if there is none."""
        found = self._find(subject)
        return found and found[0].times[found[1]]

    def __contains__(self, subject: object) -> bool:
        return isinstance(subject, str) and self.get(Subject(subject)) is not None

    def pop(self, subject: Subject) -> float | None:
        """Takes the time of a subject out; None if there is none."""
        found = self._find(subject)
        if found is None:
            return None
        shard, index = found
        del shard.numbers[index]
        return shard.times.pop(index)

    def drop(self, since: float, until: float) -> list[Subject]:
        """Takes out all times from since (included) to until; returns whose they were."""
        dropped = (s.keep(lambda at: not since <= at < until) for s in self._shards)
        return [_subject(number) for number in chain.from_iterable(dropped)]

    def later_than(self, at: float) -> int:
        """How many times are later."""
        return sum(sum(map(at.__lt__, shard.times)) for shard in self._shards)

    def within(self, network: Network) -> Iterator[Subject]:
        """The subjects that share an address with a network."""
        first, last = int(network.network_address), int(network.broadcast_address)
        if network.version == 6:
            first, last = max(first >> 64, _IPV6), last >> 64
        for shard in self._shards:
            start, stop = bisect_left(shard.numbers, first), bisect_right(shard.numbers, last)
            yield from map(_subject, shard.numbers[start:stop])


def _number(subject: Subject) -> int | None:
    """A subject as a number; None if it has none."""
    address, _, length = subject.partition("/")
    try:
        if length == "32":
            return int.from_bytes(inet_pton(AF_INET, address), "big")
        if length == "64":
            number = int.from_bytes(inet_pton(AF_INET6, address)[:8], "big")
            return number if number >= _IPV6 else None
    except OSError:
        pass
    return None


def _subject(number: int) -> Subject:
    if number < _IPV6:
        return Subject(f"{IPv4Address(number)}/32")
    return Subject(str(IPv6Network((number << 64, 64))))


_REPEATERS = 50_000


class Windows:
    """Failure times per subject, each list sorted and at most `maxretry` long.

    changed: whose times have changed since somebody last emptied it.
    """

    def __init__(self, findtime: float, maxretry: int) -> None:
        self.findtime = findtime
        self.maxretry = maxretry
        self.changed: set[Subject] = set()
        # In the order of the last failure seen, so that the quiet subjects stand in front.
        # A plain dict would scan over all that it has deleted there.
        self._times: OrderedDict[Subject, list[float]] = OrderedDict()
        # Most subjects never come back: until they do, they stand here.
        self._singles = Singles()
        self._forgotten = 0

    def add(self, subject: Subject, at: float) -> int:
        """Counts one failure; returns how many lie in the window that ends with the newest one.

        Lines may come slightly out of order; each is put where its time belongs.
        """
        self.changed.add(subject)
        times = self._times.get(subject)
        if times is None:
            first = self._singles.swap(subject, at, at - self.findtime)
            if first is None:
                return 1
            self._make_room(at)
            times = self._times[subject] = [first]
        else:
            self._times.move_to_end(subject)
        if at >= times[-1]:
            times.append(at)
        else:
            insort(times, at)
        oldest = times[-1] - self.findtime
        while times[0] <= oldest or len(times) > self.maxretry:
            del times[0]
        return len(times)

    @property
    def forgotten(self) -> int:
        """How many subjects had to make way for newer ones, with failures that still counted."""
        return self._forgotten + self._singles.forgotten

    def forget(self, subject: Subject) -> None:
        """Drops what was counted for the subject."""
        if self._times.pop(subject, None) is not None or self._singles.pop(subject) is not None:
            self.changed.add(subject)

    def drop(self, since: float, until: float) -> None:
        """Drops all failures from since (included) to until."""
        self.changed.update(self._singles.drop(since, until))
        for subject, times in list(self._times.items()):
            kept = [at for at in times if not since <= at < until]
            if len(kept) < len(times):
                self.changed.add(subject)
                if kept:
                    self._times[subject] = kept
                else:
                    del self._times[subject]

    def times(self, subject: Subject) -> tuple[float, ...]:
        """The failure times kept for a subject, oldest first."""
        times = self._times.get(subject)
        if times is not None:
            return tuple(times)
        single = self._singles.get(subject)
        return () if single is None else (single,)

    def restore(self, subject: Subject, times: tuple[float, ...]) -> None:
        """Puts back what an earlier run had counted."""
        kept = sorted(times)[-self.maxretry :]
        if len(kept) == 1 and self._singles.swap(subject, kept[0], -inf) is None:
            return
        if kept:
            self._times[subject] = kept

    def failures(self, now: float) -> int:
        """Failures of all subjects that lie within findtime of now."""
        oldest = now - self.findtime
        repeated = sum(1 for times in self._times.values() for at in times if at > oldest)
        return repeated + self._singles.later_than(oldest)

    def __contains__(self, subject: object) -> bool:
        return subject in self._times or subject in self._singles

    def within(self, network: Network) -> Iterator[Subject]:
        """Everybody with a failure on record who shares an address with the network."""
        yield from self._singles.within(network)
        for subject in self._times:
            if overlap(network_of(subject), network):
                yield subject

    def resize(self, findtime: float, maxretry: int) -> None:
        """New limits; counts are kept as far as the new limits allow."""
        self.findtime, self.maxretry = findtime, maxretry
        for times in self._times.values():
            del times[:-maxretry]

    def _make_room(self, at: float) -> None:
        """Two looks at the front for each newcomer: the quiet leave faster than others come."""
        for _ in range(2):
            subject = next(iter(self._times), None)
            if subject is None or self._times[subject][-1] > at - self.findtime:
                break
            del self._times[subject]
        if len(self._times) >= _REPEATERS:
            self._times.popitem(last=False)
            self._forgotten += 1

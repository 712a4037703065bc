"""The sliding windows of one jail: how many failures of a subject lie within findtime.

The count is exact: a failure at time t counts at `now` while t > now - findtime. Only the newest
maxretry times of a subject are kept, since more are not needed to decide, so the memory that one
attacker takes is bounded. Subjects without recent failures are dropped as new ones arrive.

Most attackers fail once and never return, so single failures are kept in a compact form.

Known limits: 50,000 subjects with several failures and about a million with one are kept. Beyond
that, those whose last failure is oldest are evicted (see `evicted`). Only IPv4 addresses and IPv6
/64 prefixes have the compact form; subjects of other sizes count among the 50,000.
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
# Insertions into a shard between two clean-ups: at least this number.
_CLEANUP_INTERVAL = 64
# The lowest number of an IPv6 /64. IPv4 addresses take the numbers below it, which as prefixes
# would lie in ::/32, where no client has an address.
_FIRST_IPV6 = 1 << 32


class _Shard:
    """A sorted array of subjects as numbers, and an array of their times.

    until_cleanup: insertions left until the next clean-up.
    """

    __slots__ = ("numbers", "times", "until_cleanup")

    def __init__(self) -> None:
        self.numbers = array("Q")
        self.times = array("d")
        self.until_cleanup = _CLEANUP_INTERVAL

    def retain(self, is_kept: Callable[[float], bool]) -> list[int]:
        """Drops all times for which is_kept is false; returns the numbers of their subjects."""
        marks = [is_kept(at) for at in self.times]
        if all(marks):
            return []
        dropped = list(compress(self.numbers, (not mark for mark in marks)))
        self.numbers = array("Q", compress(self.numbers, marks))
        self.times = array("d", compress(self.times, marks))
        return dropped


class CompactTimes:
    """One time each for up to a million subjects, in 16 bytes apiece.

    A list in a dict takes some 300 bytes. Here a subject is a number in a sorted array, and its
    time is in a second array. Many short arrays make insertion cheap. A secret decides which of
    them holds a subject, so that no attacker can choose addresses that share one.

    shard_size: how many subjects each of the 256 pairs of arrays holds; the oldest quarter of a
        full one is evicted.
    evicted: how many subjects were evicted although their time still counted.
    """

    def __init__(self, shard_size: int = 4096) -> None:
        self._shard_size = shard_size
        self._shards = [_Shard() for _ in range(_SHARDS)]
        self._secret = randbits(64)
        self.evicted = 0

    def insert_or_take(self, subject: Subject, at: float, expired: float) -> float | None:
        """Stores the time of a subject that has none and returns None. If the subject has a time,
        removes and returns it. Returns -inf for a subject that has no compact form.

        expired: times up to this one no longer count and may be dropped.
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
        shard.until_cleanup -= 1
        if not shard.until_cleanup or len(numbers) > self._shard_size:
            self._clean_up(shard, expired)
        return None

    def _clean_up(self, shard: _Shard, expired: float) -> None:
        shard.retain(lambda at: at > expired)
        if len(shard.times) > self._shard_size:
            newest_evicted = max(nsmallest(self._shard_size // 4, shard.times))
            self.evicted += len(shard.retain(lambda at: at > newest_evicted))
        shard.until_cleanup = max(_CLEANUP_INTERVAL, len(shard.times) // 2)

    def _find(self, subject: Subject) -> tuple[_Shard, int] | None:
        """The shard and index at which a subject is stored; None if it is not."""
        number = _number(subject)
        if number is None:
            return None
        shard = self._shards[hash((number, self._secret)) % _SHARDS]
        index = bisect_left(shard.numbers, number)
        is_stored = index < len(shard.numbers) and shard.numbers[index] == number
        return (shard, index) if is_stored else None

    def get(self, subject: Subject) -> float | None:
        """The time of a subject; None if there is none."""
        place = self._find(subject)
        return place and place[0].times[place[1]]

    def __contains__(self, subject: object) -> bool:
        return isinstance(subject, str) and self.get(Subject(subject)) is not None

    def pop(self, subject: Subject) -> float | None:
        """Removes and returns the time of a subject; None if there is none."""
        place = self._find(subject)
        if place is None:
            return None
        shard, index = place
        del shard.numbers[index]
        return shard.times.pop(index)

    def drop_between(self, since: float, until: float) -> list[Subject]:
        """Removes all times from since (included) to until; returns their subjects."""
        dropped = (s.retain(lambda at: not since <= at < until) for s in self._shards)
        return [_subject(number) for number in chain.from_iterable(dropped)]

    def count_after(self, at: float) -> int:
        """How many times are later than `at`."""
        return sum(sum(map(at.__lt__, shard.times)) for shard in self._shards)

    def subjects_in(self, network: Network) -> Iterator[Subject]:
        """The subjects that share an address with a network."""
        first, last = int(network.network_address), int(network.broadcast_address)
        if network.version == 6:
            first, last = max(first >> 64, _FIRST_IPV6), last >> 64
        for shard in self._shards:
            start, stop = bisect_left(shard.numbers, first), bisect_right(shard.numbers, last)
            yield from map(_subject, shard.numbers[start:stop])


def _number(subject: Subject) -> int | None:
    """A subject as a number; None if it has no compact form."""
    address, _, length = subject.partition("/")
    try:
        if length == "32":
            return int.from_bytes(inet_pton(AF_INET, address), "big")
        if length == "64":
            number = int.from_bytes(inet_pton(AF_INET6, address)[:8], "big")
            return number if number >= _FIRST_IPV6 else None
    except OSError:
        pass
    return None


def _subject(number: int) -> Subject:
    if number < _FIRST_IPV6:
        return Subject(f"{IPv4Address(number)}/32")
    return Subject(str(IPv6Network((number << 64, 64))))


class SlidingWindows:
    """Failure times of each subject, sorted, at most maxretry of them.

    findtime: seconds during which a failure counts.
    max_repeaters: how many subjects with several failures are kept.
    changed: subjects whose times have changed since the caller last cleared this set.
    """

    def __init__(self, findtime: float, maxretry: int, max_repeaters: int = 50_000) -> None:
        self.findtime = findtime
        self.maxretry = maxretry
        self.changed: set[Subject] = set()
        self._max_repeaters = max_repeaters
        # In the order of the last failure seen, so that the least recently active come first.
        # (A plain dict would scan over all entries that were deleted at its front; with a
        # BoundedDict `add` takes a sixth longer.)
        self._times: OrderedDict[Subject, list[float]] = OrderedDict()
        self._singles = CompactTimes()
        self._evicted_repeaters = 0

    def add(self, subject: Subject, at: float) -> int:
        """Counts one failure; returns how many lie in the window that ends with the newest one.

        Failures may come out of order; each time is inserted where it belongs.
        """
        self.changed.add(subject)
        times = self._times.get(subject)
        if times is None:
            first = self._singles.insert_or_take(subject, at, at - self.findtime)
            if first is None:
                return 1
            self._evict(at)
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
    def evicted(self) -> int:
        """How many subjects were evicted although their failures still counted."""
        return self._evicted_repeaters + self._singles.evicted

    def forget(self, subject: Subject) -> None:
        """Drops all failures of a subject."""
        if self._times.pop(subject, None) is not None or self._singles.pop(subject) is not None:
            self.changed.add(subject)

    def drop_between(self, since: float, until: float) -> None:
        """Drops all failures from since (included) to until."""
        self.changed.update(self._singles.drop_between(since, until))
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
        """Sets the failure times of a subject to those that an earlier run saved."""
        kept = sorted(times)[-self.maxretry :]
        if len(kept) == 1 and self._singles.insert_or_take(subject, kept[0], -inf) is None:
            return
        if kept:
            self._times[subject] = kept

    def failures(self, now: float) -> int:
        """The number of failures of all subjects that lie within findtime of now."""
        oldest = now - self.findtime
        repeated = sum(1 for times in self._times.values() for at in times if at > oldest)
        return repeated + self._singles.count_after(oldest)

    def __contains__(self, subject: object) -> bool:
        return subject in self._times or subject in self._singles

    def subjects_in(self, network: Network) -> Iterator[Subject]:
        """All subjects with a failure on record that share an address with the network."""
        yield from self._singles.subjects_in(network)
        for subject in self._times:
            if overlap(network_of(subject), network):
                yield subject

    def resize(self, findtime: float, maxretry: int) -> None:
        """Sets new limits; counts are kept as far as the new limits allow."""
        self.findtime, self.maxretry = findtime, maxretry
        for times in self._times.values():
            del times[:-maxretry]

    def _evict(self, at: float) -> None:
        """Drops up to two expired subjects for each new one, so that they leave faster than new
        ones arrive; drops the least recently active one if there are still too many.
        """
        for _ in range(2):
            subject = next(iter(self._times), None)
            if subject is None or self._times[subject][-1] > at - self.findtime:
                break
            del self._times[subject]
        if len(self._times) >= self._max_repeaters:
            self._times.popitem(last=False)
            self._evicted_repeaters += 1

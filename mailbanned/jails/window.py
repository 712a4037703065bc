"""The sliding windows of one jail: how many failures of a subject lie within findtime.

The count is exact: a failure at time t counts at `now` while t > now - findtime. Only the newest
maxretry times of a subject are kept, since no more are needed to decide, so an attacker's memory
is bounded. Subjects that have gone quiet are dropped as others come in.

Known limit: of 50,000 subjects with several failures and a million with one, those make way for
newer ones that have been quiet for longest (see `forgotten`).
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Iterator
from math import inf

from mailbanned.jails.singles import Singles
from mailbanned.model import Network, Subject, meet, network_of

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
            if meet(network_of(subject), network):
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

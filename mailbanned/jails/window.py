"""The sliding windows of one jail: how many failures of a subject lie within findtime.

The count is exact: a failure at time t counts at `now` while t > now - findtime. Only the newest
maxretry times of a subject are kept, since no more are needed to decide, so an attacker's memory
is bounded. Subjects that have gone quiet are dropped as others come in.

Known limit: the number of subjects is bounded only by how many fail within one findtime.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Iterator

from mailbanned.model import Subject


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

    def add(self, subject: Subject, at: float) -> int:
        """Counts one failure; returns how many lie in the window that ends with the newest one.

        Lines may come slightly out of order; each is put where its time belongs.
        """
        self.changed.add(subject)
        times = self._times.get(subject)
        if times is None:
            self._times[subject] = [at]
            self._drop_quiet(at)
            return 1
        self._times.move_to_end(subject)
        if at >= times[-1]:
            times.append(at)
        else:
            insort(times, at)
        oldest = times[-1] - self.findtime
        while times[0] <= oldest or len(times) > self.maxretry:
            del times[0]
        return len(times)

    def forget(self, subject: Subject) -> None:
        """Drops what was counted for the subject."""
        if self._times.pop(subject, None) is not None:
            self.changed.add(subject)

    def drop(self, since: float, until: float) -> None:
        """Drops all failures from since (included) to until."""
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
        return tuple(self._times.get(subject, ()))

    def restore(self, subject: Subject, times: tuple[float, ...]) -> None:
        """Puts back what an earlier run had counted."""
        if times:
            self._times[subject] = sorted(times)[-self.maxretry :]

    def failures(self, now: float) -> int:
        """Failures of all subjects that lie within findtime of now."""
        oldest = now - self.findtime
        return sum(1 for times in self._times.values() for at in times if at > oldest)

    def subjects(self) -> Iterator[Subject]:
        """Everybody with a failure on record."""
        return iter(self._times)

    def resize(self, findtime: float, maxretry: int) -> None:
        """New limits; counts are kept as far as the new limits allow."""
        self.findtime, self.maxretry = findtime, maxretry
        for times in self._times.values():
            del times[:-maxretry]

    def _drop_quiet(self, at: float) -> None:
        """Two looks at the front for each newcomer: the quiet leave faster than others come."""
        for _ in range(2):
            subject = next(iter(self._times))
            if self._times[subject][-1] > at - self.findtime:
                return
            del self._times[subject]

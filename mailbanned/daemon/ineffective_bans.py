"""Notices bans that keep nobody out: their subject is still heard of, long after they took effect.

Known limits. Somebody who failed before the ban may be logged after it, so the first seconds do not
count. A firewall that lost its rules a moment ago, and gets them back, may look like a leak.
"""

from __future__ import annotations

from mailbanned.address import Subject, display_subject
from mailbanned.clock import iso
from mailbanned.log import get_logger
from mailbanned.model import Failure

log = get_logger("firewall")

#: What still comes so long after a ban took effect should not have come. Seconds.
GRACE_S = 10.0


class Leaks:
    """Counts them.

    total: failures of subjects that should be out. last: the newest one's subject, None before.
    last_at: when that was (epoch).
    """

    def __init__(self) -> None:
        self.total = 0
        self.last: Subject | None = None
        self.last_at: float | None = None
        self._told: set[Subject] = set()

    def heard(self, subject: Subject, failure: Failure, now: float, in_force_s: float) -> None:
        """A live line tells of a subject that has been kept out for so long."""
        if in_force_s <= GRACE_S:
            return
        self.total += 1
        self.last, self.last_at = subject, now
        if subject not in self._told:
            self._told.add(subject)
            log.warning(
                f"{display_subject(subject)} is banned and still gets through. Likely causes: a "
                "connection that was open before and is not cut; an interface in another zone of "
                "the firewall; a container port that is published past it; a proxy in front that "
                "hides who the client is",
                address=failure.address, rule=failure.pattern, banned_s=round(in_force_s),
            )  # fmt: skip

    def over(self, subject: Subject) -> None:
        """The subject is not banned any more; the next time is told anew."""
        self._told.discard(subject)

    def document(self) -> dict[str, object]:
        """As the status shows it."""
        last = None if self.last is None else display_subject(self.last)
        return {"count": self.total, "last": last, "last_at": iso(self.last_at)}

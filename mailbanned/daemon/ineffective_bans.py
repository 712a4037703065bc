"""Notices bans that stop nothing: their subject still fails long after the ban came into force.

Known limits: a failure from before the ban may be logged after it, so the first seconds do not
count.
"""

from __future__ import annotations

from mailbanned.address import Subject, display_subject
from mailbanned.clock import iso
from mailbanned.log import get_logger
from mailbanned.model import Failure

_log = get_logger("firewall")

#: A failure later than this after its ban came into force should not have got through. Seconds.
GRACE_S = 10.0


class IneffectiveBans:
    """Counts them.

    total: number of failures of subjects whose packets should be dropped.
    last: the newest one's subject; None before the first.
    last_at: when that was (epoch).
    """

    def __init__(self) -> None:
        self.total = 0
        self.last: Subject | None = None
        self.last_at: float | None = None
        self._reported: set[Subject] = set()

    def record(self, subject: Subject, failure: Failure, now: float, in_force_s: float) -> None:
        """Takes note of a failure just now, of a subject banned for `in_force_s` seconds."""
        if in_force_s <= GRACE_S:
            return
        self.total += 1
        self.last, self.last_at = subject, now
        if subject not in self._reported:
            self._reported.add(subject)
            _log.warning(
                f"{display_subject(subject)} is banned and still gets through. Likely causes: a "
                "connection that was open before and is not cut; an interface in another zone of "
                "the firewall; a container port that is published past it; a proxy in front that "
                "hides who the client is",
                address=failure.address,
                rule=failure.pattern,
                banned_s=round(in_force_s),
            )

    def forget(self, subject: Subject) -> None:
        """Forgets a subject that is no longer banned; its next ban is reported again."""
        self._reported.discard(subject)

    def document(self) -> dict[str, object]:
        """Returns the part of the status document."""
        last = None if self.last is None else display_subject(self.last)
        return {"count": self.total, "last": last, "last_at": iso(self.last_at)}

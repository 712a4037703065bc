"""Counts each login attempt once, however many lines servers log of it.

    sshd[77]: Invalid user bob from ...             \\
    sshd[77]: Failed password for invalid user bob    one attempt
    sshd[77]: Connection closed by invalid user bob /

A session (a connection, as the server names it) had as many attempts as its most frequent kind of
line reports. A line therefore reports a new attempt only if its kind has now come more often than
attempts were counted. The kind of a line is its pattern and account database (passdb).

A summary line (see Failure) of a session without other lines reports a new attempt only if no
other line named its subject in the last five minutes.

Known limit: the 10,000 most recent sessions and at least the 10,000 most recent subjects are
remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from math import inf

from mailbanned.address import Subject
from mailbanned.model import Failure

# Seconds after a failure in which a summary may still be of the same connection.
_CONNECTION_S = 300.0
# Seconds after which a server may reuse the name of a session (a process id, say).
_SESSION_S = 900.0
_MAX_REMEMBERED = 10_000

# When a subject last failed: in any line, and in a line that named no session.
_LastSeen = tuple[float, float]
_NEVER: _LastSeen = (-inf, -inf)


@dataclass(slots=True)
class _Session:
    """attempts: those counted. reported: the attempts that lines of each kind report."""

    last_seen: float
    attempts: int = 0
    reported: dict[tuple[str, str | None], int] = field(default_factory=dict)


class AttemptDeduplicator:
    """Remembers the sessions and subjects of recent failures."""

    def __init__(self) -> None:
        # Not a BoundedDict, with which counting takes a third longer.
        self._sessions: OrderedDict[tuple[Subject, str], _Session] = OrderedDict()
        # Two generations instead of an order, which would cost more time: when the young one is
        # full it becomes the old one, and the old one is dropped.
        self._last_seen: dict[Subject, _LastSeen] = {}
        self._last_seen_before: dict[Subject, _LastSeen] = {}

    def new_attempts(self, subject: Subject, failure: Failure, at: float) -> int:
        """How many attempts the failure reports that no earlier line has reported."""
        if failure.session is None:
            if failure.summary:
                return 0 if self._was_seen(subject, at, 0) else failure.attempts
            self._note(subject, (at, at))
            return failure.attempts
        session = self._session(subject, failure.session, at)
        if failure.summary and not session.attempts and self._was_seen(subject, at, 1):
            return 0
        if not failure.summary:
            self._note(subject, (at, self._last_seen_at(subject)[1]))
        kind = failure.pattern, failure.passdb
        reported = session.reported[kind] = session.reported.get(kind, 0) + failure.attempts
        new = max(0, reported - session.attempts)
        session.attempts += new
        return new

    def forget(self, subject: Subject) -> None:
        """Forgets when a subject was last seen. (Its sessions expire by themselves.)"""
        self._last_seen.pop(subject, None)
        self._last_seen_before.pop(subject, None)

    def _session(self, subject: Subject, name: str, at: float) -> _Session:
        key = subject, name
        session = self._sessions.pop(key, None)
        if session is None or abs(at - session.last_seen) > _SESSION_S:
            session = _Session(at)
        session.last_seen = at
        self._sessions[key] = session
        if len(self._sessions) > _MAX_REMEMBERED:
            self._sessions.popitem(last=False)
        return session

    def _note(self, subject: Subject, last_seen: _LastSeen) -> None:
        self._last_seen[subject] = last_seen
        if len(self._last_seen) > _MAX_REMEMBERED:
            self._last_seen_before, self._last_seen = self._last_seen, {}

    def _last_seen_at(self, subject: Subject) -> _LastSeen:
        return self._last_seen.get(subject) or self._last_seen_before.get(subject, _NEVER)

    def _was_seen(self, subject: Subject, at: float, index: int) -> bool:
        """Whether the subject failed within five minutes: in any line (index 0), or in a line
        without a session (index 1).
        """
        return abs(at - self._last_seen_at(subject)[index]) <= _CONNECTION_S

"""Which lines tell of the same login attempt: servers often log one attempt in several lines.

    sshd[77]: Invalid user bob from ...             \\
    sshd[77]: Failed password for invalid user bob    one attempt
    sshd[77]: Connection closed by invalid user bob /

Within a session (a connection, as the server names it) there were as many attempts as the kind of
line that came most often tells; so a line is news only if its kind has now come more often than
attempts were counted. Lines of different account databases (passdb) are of different kinds.

A line that only sums up (see Failure) and whose session tells nothing is news only if no other
line told of the subject in the last five minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from math import inf

from mailbanned.address import Subject
from mailbanned.model import Failure

# So long after a failure a line may still sum up the connection that it happened in.
_CONNECTION_S = 300.0
# A name of a session (a process id, say) may come again for another one after so long.
_SESSION_S = 900.0
_REMEMBERED = 10_000

# When a line told of a subject: any such line, and one that named no session.
_Told = tuple[float, float]
_NEVER: _Told = (-inf, -inf)


@dataclass(slots=True)
class _Session:
    last: float
    attempts: int = 0
    lines: dict[tuple[str, str | None], int] = field(default_factory=dict)


class Attempts:
    """What was told lately, of at least the 10,000 last sessions and subjects."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[tuple[Subject, str], _Session] = OrderedDict()
        # Those told of before the last 10,000 newcomers are forgotten: an order would cost more.
        self._told: dict[Subject, _Told] = {}
        self._told_before: dict[Subject, _Told] = {}

    def news(self, subject: Subject, failure: Failure, at: float) -> int:
        """How many attempts the line tells of that no other line has told of."""
        if failure.session is None:
            if failure.summary:
                return 0 if self._was_told(subject, at, 0) else failure.attempts
            self._tell(subject, (at, at))
            return failure.attempts
        session = self._session(subject, failure.session, at)
        if failure.summary and not session.attempts and self._was_told(subject, at, 1):
            return 0
        if not failure.summary:
            self._tell(subject, (at, self._last_told(subject)[1]))
        kind = failure.pattern, failure.passdb
        seen = session.lines[kind] = session.lines.get(kind, 0) + failure.attempts
        news = max(0, seen - session.attempts)
        session.attempts += news
        return news

    def forget(self, subject: Subject) -> None:
        """Drops what is known of a subject (its sessions go with time)."""
        self._told.pop(subject, None)
        self._told_before.pop(subject, None)

    def _session(self, subject: Subject, name: str, at: float) -> _Session:
        key = subject, name
        session = self._sessions.pop(key, None)
        if session is None or abs(at - session.last) > _SESSION_S:
            session = _Session(at)
        session.last = at
        self._sessions[key] = session
        if len(self._sessions) > _REMEMBERED:
            self._sessions.popitem(last=False)
        return session

    def _tell(self, subject: Subject, told: _Told) -> None:
        self._told[subject] = told
        if len(self._told) > _REMEMBERED:
            self._told_before, self._told = self._told, {}

    def _last_told(self, subject: Subject) -> _Told:
        return self._told.get(subject) or self._told_before.get(subject, _NEVER)

    def _was_told(self, subject: Subject, at: float, which: int) -> bool:
        return abs(at - self._last_told(subject)[which]) <= _CONNECTION_S

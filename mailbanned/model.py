"""The values that travel through the house, all immutable: Block, Line, Failure, Ban, Unban.

    log bytes -> Block -> Line -> Failure -> Ban -> packets dropped

Times are seconds since the epoch (float, UTC). `None` as an end means "permanent".
Line, Failure, Sign and Ban are tuples rather than dataclasses because the busiest logs make
hundreds of thousands of them a second, and a tuple is made four times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mailbanned.address import Subject


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines read at once from one source.

    data: complete lines, each ending in LF (never a part of a line), each message in one of them.
    arrived: when the bytes were read (epoch); a live line counts at this time.
    read_monotonic: the same moment on the monotonic clock, for reaction times; of lines from the
        journal, when it got the first of them.
    live: False while a source catches up with what was written before the daemon followed it;
        such lines count at their own time stamp.
    marks: where reading resumes after these lines, one opaque text for each file (or journal) of
        the source. It is the whole set: whatever is missing in it is no longer followed.
    """

    source: str
    data: bytes
    arrived: float
    read_monotonic: float
    live: bool
    marks: Mapping[str, str] = field(default_factory=dict)


class Line(NamedTuple):
    """One log line without its time stamp and host name.

    number: counts from 1 within the log (or block) it came from; where nobody asks for it, it is
        the byte at which the line begins in its block.
    at: the line's own time stamp, None if it has none that can be read.
    text: from the program tag on: b"postfix/smtpd[123]: warning: ...".
    repeats: so often was it written, where a logger has folded repeats into one line.
    """

    number: int
    at: float | None
    text: bytes
    repeats: int = 1


#: A Line, or a bare tuple of what it holds, which costs a tenth of it.
LineFields = tuple[int, float | None, bytes, int]


class Failure(NamedTuple):
    """One matched line: who failed, when, as whom, and which pattern says so.

    address: canonical text, "203.0.113.5" or "2001:db8::5"; busy code only compares it.
    user: the attempted account as the server logged it, None if the line names none. Bytes that
        are no UTF-8 stand as U+FFFD.
    rule: "filter/pattern".
    summary: the line sums up, at the end of a connection, what other lines may have told already.
    session: the server's own name of the connection or login, None if the line has none.
    passdb: which of the server's account databases refused, None if the line does not say.
    attempts: how many attempts it reports (a logger may fold repeats into one line; a server may
        sum up a connection).
    """

    number: int
    at: float | None
    address: str
    user: str | None
    pattern: str
    summary: bool = False
    session: str | None = None
    passdb: str | None = None
    attempts: int = 1


class Sign(NamedTuple):
    """One matched line that is no failure but tells how failures are to be taken.

    kind: "success" (a login that was let in) or "outage" (the server cannot reach its accounts).
    address: whom it concerns, canonical text; None if it concerns everybody.
    """

    number: int
    at: float | None
    kind: str
    address: str | None
    user: str | None
    pattern: str


class Ban(NamedTuple):
    """A jail's decision to keep a subject out, from `since` until `until` (None: for ever).

    read_monotonic: monotonic time at which the deciding line was read; None for bans by hand,
        restored bans and bans from caught-up lines, which say nothing about reaction times.
    """

    jail: str
    subject: Subject
    since: float
    until: float | None
    failures: int
    user: str | None = None
    reason: str = ""
    read_monotonic: float | None = None

    def is_active(self, now: float) -> bool:
        """Whether the ban is still to be enforced at `now`."""
        return self.until is None or self.until > now


@dataclass(frozen=True, slots=True)
class Unban:
    """The end of a jail's ban. `last` says that no other jail keeps the subject out any more."""

    jail: str
    subject: Subject
    at: float
    reason: str
    is_last: bool = True

"""The values that travel through the program, all immutable: Block, Line, Failure, Ban, Unban.

    log bytes -> Block -> Line -> Failure -> Ban -> packets dropped

Times are seconds since the epoch (float, UTC). `None` as an end means "permanent".
Those that are made for each line are tuples rather than dataclasses: the busiest logs hold hundreds
of thousands of lines a second, and a tuple is made four times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mailbanned.address import Subject

#: The most attempts that one line is believed to report.
MAX_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines read at once from one source.

    data: complete lines, each ending in LF (never a part of a line), each message in one of them.
    arrived: when the bytes were read (epoch); a live line counts at this time.
    read_monotonic: the same moment on the monotonic clock, for reaction times; of lines from the
        journal, when it got the first of them.
    live: False while a source catches up with what was written before the daemon followed it;
        such lines count at their own timestamp.
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
    """One log line without its timestamp and host.

    number: the line's number in its log, from 1; in the daemon, the offset of its first byte in its
        block.
    at: its timestamp (epoch), None if it has none that can be read.
    text: the line from the program tag on: b"postfix/smtpd[123]: warning: ...".
    repeats: how many lines it stands for; some loggers replace repeated lines by one.
    """

    number: int
    at: float | None
    text: bytes
    repeats: int = 1


#: A Line, or a bare tuple of its fields, which is made in a tenth of the time.
LineFields = tuple[int, float | None, bytes, int]


class Failure(NamedTuple):
    """One matched line: a client failed to log in, or did something else that counts.

    number, at: those of the line.
    address: the client's address in canonical form, "203.0.113.5" or "2001:db8::5".
    user: the attempted account as the server logged it, None if the line names none. Bytes that
        are not UTF-8 are replaced by U+FFFD.
    pattern: "filter/pattern".
    summary: the line sums up a connection at its end; other lines may have reported its attempts.
    session: the server's name of the connection or login, None if the line has none.
    passdb: the account database that refused, None if the line does not say.
    attempts: how many attempts the line reports.
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


class LoginSucceeded(NamedTuple):
    """One matched line: a server let a client in. Its fields are those of Failure."""

    number: int
    at: float | None
    address: str
    user: str | None
    pattern: str


class OutageReported(NamedTuple):
    """One matched line: a server cannot reach its account database.

    address: the client whose login failed for it, None if the line names no client.
    """

    number: int
    at: float | None
    address: str | None
    user: str | None
    pattern: str


#: What the filters find in lines.
LogEvent = Failure | LoginSucceeded | OutageReported


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

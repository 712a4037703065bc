"""Counts what jails find in old logs: matched lines, addresses, names, bans and what they prevent.

Known limits: of more than 200,000 names or addresses, those that came once are dropped; they are
still counted as distinct.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mailbanned.address import Subject, subject_of
from mailbanned.clock import iso
from mailbanned.documents import ban_document
from mailbanned.jails import Jail, JailSettings, OutageDetected
from mailbanned.model import Ban, Failure, Line, Unban

_TOP = 5  # names shown
_MAX_NAMES = 200_000
_BATCH = 4096


class TopNames:
    """Counts names, of which there may be millions.

    max_names: beyond N names, those that came once are dropped.
    """

    def __init__(self, max_names: int = _MAX_NAMES) -> None:
        self._counts: Counter[str] = Counter()
        self._dropped = 0
        self._max = self._limit = max_names

    def add(self, names: Iterable[str]) -> None:
        """Counts each of these names once more."""
        self._counts.update(names)
        if len(self._counts) > self._limit:
            kept = Counter({name: count for name, count in self._counts.items() if count > 1})
            self._dropped += len(self._counts) - len(kept)
            self._counts = kept
            self._limit = max(self._max, 2 * len(kept))

    def document(self) -> dict[str, Any]:
        """The number of distinct names (too large if dropped ones came again), and the top N."""
        return {
            "distinct": len(self._counts) + self._dropped,
            "most": dict(self._counts.most_common(_TOP)),
        }


class LineCounter:
    """Counts the lines in which each subject fails, whichever jail counts them.

    prefixes: prefix lengths by which jails count IPv6. /128 is added: where part of a network is
    ignored, jails count single addresses.
    """

    def __init__(self, prefixes: Iterable[int]) -> None:
        self._prefixes = {*prefixes, 128}
        self._lines: dict[Subject, int] = {}

    def add(self, address: str) -> None:
        """Counts one more line of an address."""
        lines = self._lines
        for prefix in self._prefixes if ":" in address else (32,):
            subject = subject_of(address, prefix)
            lines[subject] = lines.get(subject, 0) + 1

    def lines(self, subject: Subject) -> int:
        """The number of lines of a subject."""
        return self._lines.get(subject, 0)


@dataclass(slots=True)
class ReplayedBan:
    """A ban, and the line that led to it.

    prevented: number of later lines of the subject while the ban lasted.
    lifted: when an outage took the ban back (epoch); None if none did.
    """

    ban: Ban
    line: int
    log: str
    prevented: int = 0
    lifted: float | None = None

    def document(self) -> dict[str, Any]:
        """The ban as `mailbanned test --json` prints it."""
        return ban_document(self.ban) | {
            "at": iso(self.ban.since),
            "line": self.line,
            "log": self.log,
            "prevented": self.prevented,
            "lifted": iso(self.lifted),
        }


class JailStats:
    """The matched failures and the bans of one jail."""

    def __init__(self, jail: Jail, lines: LineCounter) -> None:
        self.name = jail.settings.name
        self.bans: list[ReplayedBan] = []
        self._jail = jail
        self._lines = lines
        self._matched = 0
        self._users = TopNames()
        self._addresses = TopNames()
        # Not counted yet: a Counter takes many names at once faster than one by one.
        self._new_users: list[str] = []
        self._new_addresses: list[str] = []
        # Active bans, each with the number of lines of its subject at the time of the ban.
        self._active: dict[Subject, tuple[ReplayedBan, int]] = {}

    def count(self, failure: Failure) -> None:
        """Counts a failure that the jail listens to."""
        self._new_addresses.append(failure.address)
        if failure.user is not None:
            self._new_users.append(failure.user)
        if len(self._new_addresses) >= _BATCH:
            self._count_names()

    def _count_names(self) -> None:
        self._matched += len(self._new_addresses)
        self._addresses.add(self._new_addresses)
        self._users.add(self._new_users)
        self._new_addresses.clear()
        self._new_users.clear()

    def on_banned(self, ban: Ban, line: int, log: str) -> None:
        """Records a ban, with the number and log of the line that led to it."""
        replayed = ReplayedBan(ban, line, log)
        self.bans.append(replayed)
        self._active[ban.subject] = replayed, self._lines.lines(ban.subject)

    def on_unbanned(self, unban: Unban) -> None:
        """Records the end of a ban: it expired, or an outage took it back."""
        replayed, before = self._active.pop(unban.subject)
        if unban.reason == "expired":
            replayed.prevented = self._lines.lines(unban.subject) - before
        else:
            replayed.lifted = unban.at

    def result(self) -> JailResult:
        """What was counted so far; bans that have not ended prevent all lines until now."""
        self._count_names()
        for subject, (replayed, before) in self._active.items():
            replayed.prevented = self._lines.lines(subject) - before
        return JailResult(
            self._jail.settings,
            self._matched,
            self._jail.ignored_total,
            self._jail.suspended_total,
            self._addresses.document(),
            self._users.document(),
            self.bans,
        )


class JailResult(NamedTuple):
    """What one jail found.

    ignored, suspended: number of failures that did not count because the address is ignored, or
    because of an outage.
    addresses, users: how many there are, and the most frequent ones.
    """

    settings: JailSettings
    matched: int
    ignored: int
    suspended: int
    addresses: dict[str, Any]
    users: dict[str, Any]
    bans: Sequence[ReplayedBan]

    def document(self) -> dict[str, Any]:
        """The jail as `mailbanned test --json` prints it."""
        return {
            "name": self.settings.name,
            "maxretry": self.settings.maxretry,
            "findtime_s": self.settings.findtime,
            "bantime_s": self.settings.bantime,
            "accounts": "unknown" if self.settings.unknown_accounts else "any",
            "matched": self.matched,
            "ignored": self.ignored,
            "suspended": self.suspended,
            "prevented": sum(ban.prevented for ban in self.bans),
            "addresses": self.addresses,
            "users": self.users,
            "bans": [ban.document() for ban in self.bans],
        }


class Result(NamedTuple):
    """What a replay found.

    matched: number of lines that at least one jail counts.
    unmatched: number of lines that look like failures, but match no pattern.
    known_users: number of accounts given; None if none were given.
    """

    logs: Sequence[str]
    lines: int
    matched: int
    unmatched: int
    known_users: int | None
    outages: Sequence[OutageDetected]
    jails: Sequence[JailResult]

    def document(self, seconds: float) -> dict[str, Any]:
        """The result as `mailbanned test --json` prints it. seconds: how long the replay took."""
        return {
            "version": 1,
            "logs": list(self.logs),
            "lines": self.lines,
            "matched": self.matched,
            "unmatched": self.unmatched,
            "seconds": round(seconds, 6),
            "known_users": self.known_users,
            "outages": [
                {"since": iso(outage.since), "until": iso(outage.until), "reason": outage.reason}
                for outage in self.outages
            ],
            "jails": [jail.document() for jail in self.jails],
        }


def match_document(log: str, jail: str, failure: Failure) -> dict[str, Any]:
    """One line of `mailbanned test --matches`."""
    return {
        "line": failure.number,
        "jail": jail,
        "address": failure.address,
        "user": failure.user,
        "at": iso(failure.at),
        "rule": failure.pattern,
        "log": log,
    }


def unmatched_document(log: str, source: str, line: Line) -> dict[str, Any]:
    """One line of `mailbanned test --unmatched --json`."""
    return {
        "line": line.number,
        "source": source,
        "at": iso(line.at),
        "text": line.text.decode("utf-8", "replace"),
        "log": log,
    }

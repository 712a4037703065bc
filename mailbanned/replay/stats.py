"""What `mailbanned test` has found, jail by jail, and as the document that --json prints."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from mailbanned.address import Subject, subject_of
from mailbanned.clock import iso
from mailbanned.jails import Jail
from mailbanned.model import Ban, Failure, Line, Unban

if TYPE_CHECKING:
    from mailbanned.replay.replay import Replay

_MOST = 5
_NAMES = 200_000


class Frequent(dict[str, int]):
    """How often names came, of which there may be millions: `trim` drops the rare ones."""

    dropped = 0

    def add(self, name: str, times: int) -> None:
        """It came so often again."""
        self[name] = self.get(name, 0) + times

    def trim(self) -> None:
        """Beyond 200,000 names, drops those that came once."""
        if len(self) > _NAMES:
            for name in [name for name, count in self.items() if count == 1]:
                del self[name]
                self.dropped += 1

    def document(self) -> dict[str, Any]:
        """How many there were (if any were dropped, at most so many), and the most frequent."""
        most = nlargest(_MOST, self.items(), key=lambda one: one[1])
        return {"distinct": len(self) + self.dropped, "most": dict(most)}


class Seen:
    """In how many lines each subject has failed so far, whichever jail counts that.

    prefixes: the lengths by which jails count IPv6; where a neighbour is ignored they count by 128.
    """

    def __init__(self, prefixes: Iterable[int]) -> None:
        self._prefixes = {*prefixes, 128}
        self._lines: dict[Subject, list[int]] = {}

    def cells(self, address: str) -> list[list[int]]:
        """Where the lines of an address are to be counted: lists with one number each."""
        prefixes = self._prefixes if ":" in address else (32,)
        subjects = (subject_of(address, prefix) for prefix in prefixes)
        return [self._lines.setdefault(subject, [0]) for subject in subjects]

    def of(self, subject: Subject) -> int:
        """The lines so far."""
        return self._lines.get(subject, (0,))[0]


class JailTally:
    """The failures and bans of one jail."""

    def __init__(self, jail: Jail, seen: Seen) -> None:
        self.rules = jail.settings
        self.name = jail.settings.name
        self.matched = 0
        self.bans: list[dict[str, Any]] = []
        self._jail = jail
        self._seen = seen
        self._users = Frequent()
        self._addresses = Frequent()
        # The bans that hold, each with what its subject had shown before.
        self._holding: dict[Subject, tuple[dict[str, Any], int]] = {}

    def failed(self, address: str, lines: int) -> None:
        """So many more lines that this jail counts."""
        if lines:
            self.matched += lines
            self._addresses.add(address, lines)

    def tried(self, users: Iterable[tuple[str, int]]) -> None:
        """So often were names tried in them."""
        for user, times in users:
            self._users.add(user, times)

    def trim(self) -> None:
        """Bounds what is remembered."""
        self._addresses.trim()
        self._users.trim()

    def ban(self, ban: Ban, line: int, log: str) -> None:
        """One more ban, and the line and log that led to it."""
        record = {
            "address": ban.subject,
            "at": ban.since,
            "until": ban.until,
            "line": line,
            "failures": ban.failures,
            "user": ban.user,
            "log": log,
            "prevented": 0,
            "lifted": None,
        }
        self.bans.append(record)
        self._holding[ban.subject] = record, self._seen.of(ban.subject)

    def unban(self, unban: Unban) -> None:
        """A ban has ended; before its time if an outage explains it."""
        record, before = self._holding.pop(unban.subject)
        if unban.reason == "expired":
            record["prevented"] = self._seen.of(unban.subject) - before
        else:
            record["lifted"] = unban.at

    def document(self) -> dict[str, Any]:
        """The jail as `mailbanned test --json` prints it.

        ignored, suspended: failures of ignored addresses, and during outages, that did not count.
        prevented: the attackers' later lines (in any jail) that its bans would have kept out.
        lifted: when a ban was taken back, since an outage explains the failures.
        """
        for subject, (record, before) in self._holding.items():
            record["prevented"] = self._seen.of(subject) - before
        rules = self.rules
        return {
            "name": self.name,
            "maxretry": rules.maxretry,
            "findtime_s": rules.findtime,
            "bantime_s": rules.bantime,
            "accounts": "unknown" if rules.unknown_accounts else "any",
            "matched": self.matched,
            "ignored": self._jail.ignored_total,
            "suspended": self._jail.suspended_total,
            "prevented": sum(ban["prevented"] for ban in self.bans),
            "addresses": self._addresses.document(),
            "users": self._users.document(),
            "bans": [_dated(ban) for ban in self.bans],
        }


def _dated(ban: dict[str, Any]) -> dict[str, Any]:
    """A ban with its times as people read them."""
    return {**ban, **{key: iso(ban[key]) for key in ("at", "until", "lifted")}}


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


def document(replay: Replay, seconds: float) -> dict[str, Any]:
    """What was found, as `mailbanned test --json` prints it.

    known_users: how many accounts there are; None if nobody said.
    """
    return {
        "version": 1,
        "logs": replay.logs,
        "lines": replay.lines,
        "matched": replay.matched_lines,
        "unmatched": replay.unmatched_lines,
        "seconds": round(seconds, 6),
        "known_users": None if replay.accounts is None else len(replay.accounts),
        "outages": [
            {"since": iso(one.since), "until": iso(one.until), "reason": one.reason}
            for one in replay.outages()
        ],
        "jails": [jail.document() for jail in replay.jails.values()],
    }

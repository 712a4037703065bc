"""Old logs through the jails, on the logs' own time: the work behind `mailbanned test`.

Several logs are read side by side in the order of their time, so rotated ones may be given in any
order, and an outage that one server logs is known when another one logs the failures.

Known limits: this host's own addresses are not ignored, since a log may come from another host. A
line without a stamp is as old as the one before it in which anything was found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from heapq import merge
from itertools import repeat
from math import inf
from operator import itemgetter
from typing import Protocol

from mailbanned.cli.cases import Cases, Listening
from mailbanned.cli.exported import text_of
from mailbanned.cli.tallies import JailTally, Seen
from mailbanned.config import Config
from mailbanned.containers import whole
from mailbanned.jails import Decision, Engine, Opening, Question
from mailbanned.model import Ban, Failure, Line, Sign, Unban

_CHUNK = 1 << 19
# Of an endless line this much is kept: far more than of any line that is looked at.
_LONGEST = 4 << 20

# A Line is one that looks like a failure, but fits no pattern.
Found = Failure | Sign | Line
# When it counts, its log, its source, what was found.
Entry = tuple[float, str, str, Found]
# Is given the log, the jail (of an unmatched line: its source), and what was found.
Matched = Callable[[str, str, Failure], None]
Unmatched = Callable[[str, str, Line], None]


_when = itemgetter(0)


class Readable(Protocol):
    """An open log."""

    name: str

    def read(self, size: int) -> bytes: ...


def known(data: bytes) -> frozenset[str]:
    """The accounts of a --known-users file, one a line; case and outer blanks do not matter."""
    lines = (line.strip().lower() for line in data.decode("utf-8", "replace").split("\n"))
    return frozenset(line for line in lines if line)


class Replay:
    """Counts what logs hold.

    names: the jails to use; none are all that are enabled (a resting jail that is named works).
    accounts: the accounts that exist; None if nobody can say, then all are unknown.
    since, until: what is outside does not count (epoch). matched, unmatched: are told of lines.
    """

    def __init__(
        self, config: Config, names: Iterable[str] = (), accounts: frozenset[str] | None = None, *,
        since: float = -inf, until: float = inf,
        matched: Matched | None = None, unmatched: Unmatched | None = None,
    ) -> None:  # fmt: skip
        chosen = [r for r in config.every_rule() if r.name in names] if names else config.rules
        self.accounts = accounts
        self._accounts = {user.partition("@")[0] for user in accounts or ()} | (accounts or set())
        self._since, self._until = since, until
        self._matched, self._unmatched = matched, unmatched
        self._engine = Engine(chosen, breaker=config.breaker)
        self._filters = config.filter_sets(chosen)
        self._odd: list[tuple[str, Line]] = []
        for source, filters in self._filters.items():
            filters.on_unmatched = partial(self._note_odd, source)
        self._seen = Seen(rules.ipv6_prefix for rules in chosen)
        self.jails = {
            name: JailTally(jail, self._seen) for name, jail in self._engine.jails.items()
        }
        self._cases = Cases(self._listening, self._unknown, self._seen)
        # Counts how often somebody was let in again: until then the banned stay so.
        self._round = 0
        self._now = time.time()
        self._deadline = inf
        self._openings: list[Opening] = []
        # The line that was looked at last, and whether a jail has counted it.
        self._number, self._log = 0, ""
        self._counted = False
        self.logs: list[str] = []
        self.lines = 0
        self.matched_lines = 0
        self.unmatched_lines = 0

    def read(self, logs: Sequence[Readable]) -> None:
        """Logs from start to end; a last line without LF counts too."""
        self.logs = [log.name for log in logs]
        every = [self._entries(log) for log in logs]
        since, until = self._since, self._until
        for at, log, source, found in every[0] if len(every) == 1 else merge(*every, key=_when):
            if at > until:
                continue
            if isinstance(found, Failure):
                if at >= since:
                    self._failure(at, log, source, found)
            elif isinstance(found, Sign):  # an early one tells who is known, and what goes on
                self._decided(self._engine.sign(found, at, at), found.number, log)
            elif at >= since:
                self.unmatched_lines += 1
                if self._unmatched is not None:
                    self._unmatched(log, source, found)

    def _entries(self, log: Readable) -> Iterator[Entry]:
        """What is found in a log, in its order."""
        at, name, number = self._now, log.name, 1
        for block in _blocks(log):
            for source, found in self._found(block, number):
                if found.at is not None:
                    at = found.at
                yield at, name, source, found
            lines = block.count(b"\n") + (not block.endswith(b"\n"))
            number += lines
            self.lines += lines
            self._cases.trim()
        self._cases.tell()

    def _found(self, block: bytes, number: int) -> list[tuple[str, Found]]:
        """What all sources find in whole lines, the first of which has this number."""
        found: list[tuple[str, Found]] = []
        for source, filters in self._filters.items():
            found += zip(repeat(source), filters.read(block, self._now, number))
        if self._odd:
            # Lines of one server look odd to another one's filters, if both write into one log.
            odd = {line.number: (source, line) for source, line in self._odd if self._is_odd(line)}
            found += odd.values()
            self._odd.clear()
        elif len(self._filters) == 1:
            return found
        found.sort(key=lambda one: one[1].number)
        return found

    def _is_odd(self, line: Line) -> bool:
        every = (one for filters in self._filters.values() for one in filters.filters)
        return not any(one.match(line) for one in every)

    def _note_odd(self, source: str, line: Line) -> None:
        self._odd.append((source, line))

    def _failure(self, at: float, log: str, source: str, failure: Failure) -> None:
        """Counts one failure."""
        if at >= self._deadline:
            self._expire(at)
        number, _, address, user, rule, *_ = failure
        case = self._cases.known.get((source, rule, address))
        if case is None:
            case = self._cases.new(source, rule, address)
        if number != self._number or log is not self._log:
            self._number, self._log, self._counted = number, log, False
            for cell in case.seen:
                cell[0] += 1
        of = case.rule
        case.lines += 1
        unknown = False
        if user is not None:
            users = of.users
            users[user] = users.get(user, 0) + 1
            unknown = not self._accounts or self._unknown(user)
            case.unknown += unknown
        if not self._counted and (of.lenient or (unknown and of.listening)):
            self._counted = True
            self.matched_lines += 1
        if self._matched is not None:
            for strict, tally in of.listening:
                if unknown or not strict:
                    self._matched(log, tally.name, failure)
        if case.deaf != self._round:
            if decisions := self._engine.observe(source, failure, at, at):
                self._decided(decisions, number, log, unknown)
            elif self._engine.deaf(source, rule, address):
                case.deaf = self._round

    def _unknown(self, user: str) -> bool:
        return user.strip().lower() not in self._accounts

    def _expire(self, at: float) -> None:
        for unban in self._engine.expire(at):
            self._unbanned(unban)
        self._deadline = self._engine.ledger.deadline() or inf

    def _unbanned(self, unban: Unban) -> None:
        self._round += 1
        self.jails[unban.jail].unban(unban)

    def _decided(
        self, decisions: list[Decision], number: int, log: str, unknown: bool = False
    ) -> None:
        for decision in decisions:
            match decision:
                case Ban():
                    self._banned(decision, number, log)
                case Unban():
                    self._unbanned(decision)
                case Question():
                    answer = self._engine.answer(decision, not unknown, decision.at)
                    if answer is not None:
                        self._banned(answer, number, log)
                case Opening(new=True):
                    self._openings.append(decision)

    def _banned(self, ban: Ban, number: int, log: str) -> None:
        self.jails[ban.jail].ban(ban, number, log)
        self._deadline = min(self._deadline, ban.until or inf)

    def _listening(self, source: str, rule: str) -> Listening:
        of = source, rule.partition("/")[0]
        jails = (jail for jail in self._engine.jails.values() if jail.of == of)
        return [(jail.rules.unknown_accounts, self.jails[jail.rules.name]) for jail in jails]

    def outages(self) -> list[Opening]:
        """The outages of the login backend, from the first to the last sign of each."""
        found: dict[float, Opening] = {}
        for opening in self._openings:
            state = self._engine.breaker.state(opening.since)
            if state.open and state.since is not None and state.until is not None:
                opening = Opening(state.since, state.until, state.reason)
            if opening.until > self._since:
                found[opening.since] = opening
        return list(found.values())


def _blocks(log: Readable) -> Iterator[bytes]:
    """A log in pieces of whole lines."""
    rest = b""
    while chunk := log.read(_CHUNK):
        if len(rest) >= _LONGEST and b"\n" not in chunk:
            continue
        data = rest + chunk
        end = whole(data)
        if end:
            yield text_of(data[:end])
        rest = data[end:]
    if rest:
        yield text_of(rest)

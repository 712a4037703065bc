"""How often which rule found whom, in as few steps a line as can be.

Jails that listen to the same rule count the same lines (a strict one only those of unknown names),
so a line is counted once, and told to the jails when somebody asks.

Old logs through the jails, on the logs' own time: the work behind `mailbanned test`.

Known limit: this host's own addresses are not ignored, since a log may come from another host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import inf

from mailbanned.config import Config
from mailbanned.jails import AccountCheck, Engine, Event, OutageDetected
from mailbanned.model import Ban, Failure, Line, LoginSucceeded, OutageReported, Unban
from mailbanned.replay.reader import Found, Readable, Reading
from mailbanned.replay.stats import JailTally, Seen

#: Which jails count what a rule finds, and whether each counts unknown accounts only.
Listening = list[tuple[bool, JailTally]]

_MOST = 200_000


class Case:
    """What a rule has found of one address since it was last told.

    lines, unknown: so many lines; those of unknown accounts. seen: where lines of its subjects are
    counted. deaf: the round (see Replay) in which all jails that listen keep the address out.
    """

    __slots__ = ("deaf", "lines", "seen", "unknown")

    def __init__(self, seen: list[list[int]]) -> None:
        self.seen = seen
        self.lines = self.unknown = 0
        self.deaf = -1


class Rule:
    """What one rule finds in one source.

    lenient: whether a jail counts all of it. cases: by address. tried: the names of accounts, one
    for each line; `users` is how often each was tried before.
    """

    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.lenient = any(not strict for strict, _ in listening)
        self.cases: dict[str, Case] = {}
        self.tried: list[str] = []
        self.users: Counter[str] = Counter()

    def count(self) -> None:
        """Counts the names (all at once, which is quicker than one by one)."""
        self.users.update(self.tried)
        self.tried.clear()


class Cases:
    """All of them. unknown: whether an account does not exist."""

    def __init__(
        self, listening: Callable[[str, str], Listening], unknown: Callable[[str], bool],
        seen: Seen,
    ) -> None:  # fmt: skip
        self._sources: dict[str, dict[str, Rule]] = {}
        self._listening = listening
        self._unknown = unknown
        self._seen = seen

    def rules(self, source: str) -> dict[str, Rule]:
        """The rules that have found anything in a source, by name."""
        return self._sources.setdefault(source, {})

    def rule(self, source: str, name: str) -> Rule:
        """A rule that has found nothing yet."""
        found = self.rules(source)[name] = Rule(self._listening(source, name))
        return found

    def case(self, rule: Rule, address: str) -> Case:
        """The case of an address that is not known to a rule."""
        found = rule.cases[address] = Case(self._seen.cells(address))
        return found

    def _rules(self) -> list[Rule]:
        return [rule for rules in self._sources.values() for rule in rules.values()]

    def trim(self) -> None:
        """Counts names, and bounds what is remembered. To be called now and then."""
        rules = self._rules()
        for rule in rules:
            rule.count()
        cases = sum(len(rule.cases) for rule in rules)
        if cases > _MOST or any(len(rule.users) > _MOST for rule in rules):
            self.tell()

    def tell(self) -> None:
        """Tells the jails, and begins anew."""
        rules = self._rules()
        for rule in rules:
            rule.count()
            for strict, tally in rule.listening:
                for address, case in rule.cases.items():
                    tally.failed(address, case.unknown if strict else case.lines)
                tally.tried(self._counted(rule.users.items(), strict))
        for rule in rules:
            for _, tally in rule.listening:
                tally.trim()  # once all is told, lest somebody is dropped who comes again
            rule.cases.clear()
            rule.users.clear()

    def _counted(self, users: Iterable[tuple[str, int]], strict: bool) -> Iterable[tuple[str, int]]:
        return ((user, n) for user, n in users if not strict or self._unknown(user))


# After so many findings there may be much to remember.
_MANY = 4096

# Is given the log, the jail (of an unmatched line: its source), and what was found.
Matched = Callable[[str, str, Failure], None]
Unmatched = Callable[[str, str, Line], None]


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
        chosen = [r for r in config.all_jails() if r.name in names] if names else config.jails
        self.accounts = accounts
        self._accounts = {user.partition("@")[0] for user in accounts or ()} | (accounts or set())
        self._since, self._until = since, until
        self._matched, self._unmatched = matched, unmatched
        self._engine = Engine(chosen, outage=config.file.outage)
        self._filters = config.filter_sets(chosen)
        self._reading = Reading(self._filters)
        self._seen = Seen(rules.ipv6_prefix for rules in chosen)
        self.jails = {
            name: JailTally(jail, self._seen) for name, jail in self._engine.jails.items()
        }
        self._cases = Cases(self._listening, self._unknown, self._seen)
        # Counts how often somebody was let in again: until then the banned stay so.
        self._round = 0
        self._deadline = inf
        self._openings: list[OutageDetected] = []
        # The log and number of the line that was looked at last, and whether a jail has counted it.
        self._last = "", 0, False
        self.logs: list[str] = []
        self.lines = 0
        self.matched_lines = 0
        self.unmatched_lines = 0

    def read(self, logs: Sequence[Readable]) -> None:
        """Logs from start to end; a last line without LF counts too."""
        self.logs = [log.name for log in logs]
        findings = 0
        for at, log, source, found in self._reading.read(logs):
            self._count(at, log, source, found)
            findings += len(found)
            if findings > _MANY:
                self._cases.trim()
                findings = 0
        self._cases.tell()
        self.lines = self._reading.lines

    def _count(self, at: float, log: str, source: str, every: Sequence[Found]) -> None:
        """Counts what was found in a row."""
        # The busiest loop of a replay: what it needs stands in local names.
        since, until, matched, everybody = (
            self._since, self._until, self._matched, not self._accounts,
        )  # fmt: skip
        rules = self._cases.rules(source)
        before, last, counted = self._last
        last = last if log is before else 0
        for found in every:
            if not isinstance(found, Failure):
                at = at if found.at is None else found.at
                if at <= until:
                    self._other(at, log, source, found)
                continue
            number, stamp, address, user, name, _, _, _, _ = found
            at = at if stamp is None else stamp
            if not since <= at <= until:
                continue
            if at >= self._deadline:
                self._expire(at)
            rule = rules.get(name) or self._cases.rule(source, name)
            case = rule.cases.get(address) or self._cases.case(rule, address)
            if number != last:
                last, counted = number, False
                for cell in case.seen:
                    cell[0] += 1
            case.lines += 1
            unknown = False
            if user is not None:
                rule.tried.append(user)
                unknown = everybody or self._unknown(user)
                case.unknown += unknown
            if not counted and (rule.lenient or (unknown and rule.listening)):
                counted = True
                self.matched_lines += 1
            if matched is not None:
                for strict, tally in rule.listening:
                    if unknown or not strict:
                        matched(log, tally.name, found)
            if case.deaf != self._round:
                self._decided(self._engine.observe(source, found, at, at), number, log, unknown)
                if self._engine.is_fully_banned(source, name, address):
                    case.deaf = self._round
        self._last = log, last, counted

    def _other(
        self, at: float, log: str, source: str, found: LoginSucceeded | OutageReported | Line
    ) -> None:
        """Takes note of what is no failure."""
        # Events before `since` count, too: which clients logged in, and which outage goes on.
        if isinstance(found, LoginSucceeded):
            self._engine.on_login(found, at)
        elif isinstance(found, OutageReported):
            self._decided(self._engine.on_outage(found, at, at), found.number, log)
        elif at >= self._since:
            self.unmatched_lines += 1
            if self._unmatched is not None:
                self._unmatched(log, source, found)

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
        self, decisions: list[Event], number: int, log: str, unknown: bool = False
    ) -> None:
        for decision in decisions:
            match decision:
                case Ban():
                    self._banned(decision, number, log)
                case Unban():
                    self._unbanned(decision)
                case AccountCheck():
                    answer = self._engine.resolve(decision, not unknown, decision.at)
                    if answer is not None:
                        self._banned(answer, number, log)
                case OutageDetected(is_new=True):
                    self._openings.append(decision)

    def _banned(self, ban: Ban, number: int, log: str) -> None:
        self.jails[ban.jail].ban(ban, number, log)
        self._deadline = min(self._deadline, ban.until or inf)

    def _listening(self, source: str, rule: str) -> Listening:
        feed = source, rule.partition("/")[0]
        jails = (jail for jail in self._engine.jails.values() if jail.feed == feed)
        return [(jail.settings.unknown_accounts, self.jails[jail.settings.name]) for jail in jails]

    def outages(self) -> list[OutageDetected]:
        """The outages of the login backend, from the first to the last sign of each."""
        found: dict[float, OutageDetected] = {}
        for opening in self._openings:
            state = self._engine.outage_detector.state(opening.since)
            if state.is_open and state.since is not None and state.until is not None:
                opening = OutageDetected(state.since, state.until, state.reason)
            if opening.until > self._since:
                found[opening.since] = opening
        return list(found.values())

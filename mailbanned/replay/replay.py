"""Runs old logs through the jails, on the logs' own time: the work of `mailbanned test`.

Known limits: this host's own addresses are not ignored, since a log may come from another host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf

from mailbanned.config import Config
from mailbanned.jails import AccountCheck, Engine, Event, OutageDetected
from mailbanned.model import Ban, Failure, Line, LoginSucceeded, OutageReported, Unban
from mailbanned.replay.reader import Findings, Log, LogReader
from mailbanned.replay.stats import JailStats, LineCounter, Result

#: Called with the log, the jail and the failure.
OnMatched = Callable[[str, str, Failure], None]
#: Called with the log, the source and the line.
OnUnmatched = Callable[[str, str, Line], None]


def parse_accounts(data: bytes) -> frozenset[str]:
    """The accounts of a --known-users file, one a line; case and outer blanks do not matter."""
    lines = (line.strip().lower() for line in data.decode("utf-8", "replace").split("\n"))
    return frozenset(line for line in lines if line)


class Replay:
    """Counts the failures of logs in jails.

    names: jails to use, disabled ones too; none: all that are enabled.
    accounts: accounts that exist; None if they are not known, then every account is unknown.
    since, until: failures outside of this time do not count (epoch).
    on_matched: called for every failure and every jail that listens to it.
    on_unmatched: called for every line that looks like a failure, but matches no pattern.
    """

    def __init__(
        self,
        config: Config,
        names: Iterable[str] = (),
        accounts: frozenset[str] | None = None,
        *,
        since: float = -inf,
        until: float = inf,
        on_matched: OnMatched | None = None,
        on_unmatched: OnUnmatched | None = None,
    ) -> None:
        chosen = [r for r in config.all_jails() if r.name in names] if names else config.jails
        self._accounts = accounts
        # An account may be named with or without its domain.
        self._spellings = {name.partition("@")[0] for name in accounts or ()} | (accounts or set())
        self._since, self._until = since, until
        self._on_matched, self._on_unmatched = on_matched, on_unmatched
        self._engine = Engine(chosen, outage=config.file.outage)
        self._reader = LogReader(config.filter_sets(chosen))
        self._line_counter = LineCounter(settings.ipv6_prefix for settings in chosen)
        self._jails = {
            name: JailStats(jail, self._line_counter) for name, jail in self._engine.jails.items()
        }
        # By source and pattern: the jails that listen, and whether only to unknown accounts.
        self._routes: dict[tuple[str, str], list[tuple[bool, JailStats]]] = {}
        self._next_expiry = inf
        self._outages: list[OutageDetected] = []
        # The last line with a failure: its log, its number, and whether a jail has counted it.
        self._last_log: Log | None = None
        self._last_number, self._last_counted = 0, False
        self._matched = self._unmatched = 0

    def run(self, logs: Sequence[Log], advance: Callable[[int], None] | None = None) -> Result:
        """Counts logs from start to end. advance: as in LogReader.read. Raises ReplayError."""
        for findings in self._reader.read(logs, advance):
            self._count(findings)
        return Result(
            [log.name for log in logs],
            self._reader.lines,
            self._matched,
            self._unmatched,
            None if self._accounts is None else len(self._accounts),
            self._whole_outages(),
            [jail.result() for jail in self._jails.values()],
        )

    def _count(self, findings: Findings) -> None:
        at, log, source, found = findings
        for finding in found:
            at = at if finding.at is None else finding.at
            if at > self._until:
                continue
            if isinstance(finding, Failure):
                if at >= self._since:
                    self._count_failure(at, log, source, finding)
            # Logins and outages before `since` count too: later failures depend on them.
            elif isinstance(finding, LoginSucceeded):
                self._engine.on_login(finding, at)
            elif isinstance(finding, OutageReported):
                self._apply(self._engine.on_outage(finding, at, at), finding.number, log)
            elif at >= self._since:
                self._unmatched += 1
                if self._on_unmatched is not None:
                    self._on_unmatched(log.name, source, finding)

    def _count_failure(self, at: float, log: Log, source: str, failure: Failure) -> None:
        if at >= self._next_expiry:
            self._expire(at)
        if failure.number != self._last_number or log is not self._last_log:
            self._last_log = log
            self._last_number, self._last_counted = failure.number, False
            self._line_counter.add(failure.address)
        unknown = failure.user is not None and self._is_unknown(failure.user)
        pattern = failure.pattern
        for strict, jail in self._routes.get((source, pattern)) or self._route(source, pattern):
            if unknown or not strict:
                jail.count(failure)
                if not self._last_counted:
                    self._last_counted = True
                    self._matched += 1
                if self._on_matched is not None:
                    self._on_matched(log.name, jail.name, failure)
        events = self._engine.observe(source, failure, at, at)
        if events:
            self._apply(events, failure.number, log, unknown)

    def _is_unknown(self, user: str) -> bool:
        return not self._spellings or user.strip().lower() not in self._spellings

    def _route(self, source: str, pattern: str) -> list[tuple[bool, JailStats]]:
        """Finds the jails that listen to a pattern, and whether only to unknown accounts."""
        feed = source, pattern.partition("/")[0]
        self._routes[source, pattern] = [
            (jail.settings.unknown_accounts, self._jails[name])
            for name, jail in self._engine.jails.items()
            if jail.feed == feed
        ]
        return self._routes[source, pattern]

    def _expire(self, at: float) -> None:
        for unban in self._engine.expire(at):
            self._jails[unban.jail].on_unbanned(unban)
        self._next_expiry = self._engine.ledger.deadline() or inf

    def _apply(self, events: list[Event], number: int, log: Log, unknown: bool = False) -> None:
        for event in events:
            match event:
                case Ban():
                    self._record_ban(event, number, log)
                case Unban():
                    self._jails[event.jail].on_unbanned(event)
                case AccountCheck():
                    ban = self._engine.resolve(event, not unknown, event.at)
                    if ban is not None:
                        self._record_ban(ban, number, log)
                case OutageDetected(is_new=True):
                    self._outages.append(event)

    def _record_ban(self, ban: Ban, number: int, log: Log) -> None:
        self._jails[ban.jail].on_banned(ban, number, log.name)
        self._next_expiry = min(self._next_expiry, ban.until or inf)

    def _whole_outages(self) -> list[OutageDetected]:
        """The outages of the login backend, each from its first to its last evidence."""
        whole: dict[float, OutageDetected] = {}
        for outage in self._outages:
            state = self._engine.outage_detector.state(outage.since)
            if state.is_open and state.since is not None and state.until is not None:
                outage = OutageDetected(state.since, state.until, state.reason)
            if outage.until > self._since:
                whole[outage.since] = outage
        return list(whole.values())

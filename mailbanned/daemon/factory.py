"""Configuration -> parts: which class serves which table. One place for each registry look-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from pathlib import Path

from mailbanned.accounts import (
    Accounts,
    AccountsDown,
    CachedAccounts,
    Lookup,
    MySQLLookup,
    NoAccounts,
    SQLiteLookup,
)
from mailbanned.address import Subject
from mailbanned.clock import Clock
from mailbanned.config import Config
from mailbanned.config.options import AccountsTable, FirewallTable, SourceTable
from mailbanned.firewall import BACKENDS, Firewall, Interim, Nftables, NoInterim
from mailbanned.logformat.messages import join_parts
from mailbanned.logformat.timestamps import TimestampParser
from mailbanned.sources import FileSource, Journalctl, JournalSource, Source, Watcher


def source(
    name: str,
    config: Config,
    clock: Clock,
    readers: tuple[Watcher, Journalctl],
    checkpoints: Mapping[str, str],
) -> Source:
    """Returns the source of a [sources.NAME] table, to resume at its checkpoints.

    readers: what all sources of the daemon share.
    """
    watcher, journalctl = readers
    table = config.file.sources[name]
    findtime = max(jail.findtime for jail in config.jails if jail.source == name)
    since = clock.now() - findtime
    if table.journal is not None:
        return JournalSource(
            name,
            table.journal,
            clock=clock,
            journalctl=journalctl,
            cursors=checkpoints,
            since=since,
        )
    line_age = _LineAge(since, table.timezone, clock)
    assert table.path is not None  # the schema lets exactly one of the two through
    return FileSource(
        name, table.path, clock=clock, watcher=watcher, checkpoints=checkpoints, line_age=line_age
    )


def owns_checkpoint(table: SourceTable, name: str, value: str) -> bool:
    """Whether a checkpoint, stored under this name, is of a log of the source."""
    if table.journal is not None:
        return JournalSource.owns_cursor(table.journal, name)
    return table.path is not None and FileSource.owns_checkpoint(table.path, value)


class _LineAge:
    """Judges lines by their time stamps; those from before `since` are expired."""

    def __init__(self, since: float, zone: tzinfo | None, clock: Clock) -> None:
        self._since = since
        self._parse_timestamp = TimestampParser(zone).parse
        self._clock = clock

    def has_timestamp(self, line: bytes) -> bool:
        return self._time_of(line) is not None

    def is_expired(self, line: bytes) -> bool:
        at = self._time_of(line)
        return at is not None and at <= self._since

    def _time_of(self, line: bytes) -> float | None:
        at, _ = self._parse_timestamp(join_parts(line), self._clock.now())
        return at


def accounts(table: AccountsTable, clock: Clock) -> Accounts:
    """The account database of the [accounts] table, behind its cache."""
    if table.backend == "none":
        return NoAccounts()
    return CachedAccounts(_lookup(table), clock, table.timeout)


def _lookup(table: AccountsTable) -> Lookup:
    if table.backend == "sqlite":
        return SQLiteLookup(Path(table.database), table.effective_query())
    try:
        password = table.password_file.read_text().partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        return _Unusable("mysql", f"accounts.password_file {table.password_file}: {reason}")
    return MySQLLookup(
        host=table.host,
        port=table.port,
        user=table.user,
        password=password,
        database=table.database,
        query=table.effective_query(),
        connect_timeout=table.timeout,
    )


class _Unusable:
    """A database that cannot be queried until its configuration is mended and reloaded."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    async def exists(self, user: str) -> bool | None:
        raise AccountsDown(self._reason)

    async def close(self) -> None:
        pass


def firewall(table: FirewallTable, dry_run: bool) -> Firewall:
    """The backend of the [firewall] table."""
    return BACKENDS["dry-run" if dry_run else table.backend](table.zone, table.verdict)


def interim(
    table: FirewallTable, dry_run: bool, clock: Clock, until: Callable[[Subject], float | None]
) -> Interim | NoInterim:
    """The interim bans for those that wait for firewalld; see Interim."""
    if dry_run or table.backend != "firewalld" or not table.interim:
        return NoInterim()
    return Interim(Nftables(table.verdict, slack=0.0, clock=clock), clock, until=until)

"""Every table of the configuration, each option one field: type, default, limits, text.

Those that [defaults] and [jails.NAME] share, and [outage], are in mailbanned/jails/settings.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from mailbanned.configtypes import (
    Between,
    Duration,
    FilePath,
    Name,
    Parsed,
    Table,
    TimeZone,
    option,
)
from mailbanned.control import DEFAULT_SOCKET
from mailbanned.jails import JailDefaults, OutageSettings

_MYSQL_QUERY = (
    "SELECT 1 FROM mailbox WHERE username = %(user)s "
    "OR username LIKE CONCAT(%(user)s, '@%%') LIMIT 1"
)
_SQLITE_QUERY = (
    "SELECT 1 FROM mailbox WHERE username = :user COLLATE NOCASE "
    "OR username LIKE :user || '@%' LIMIT 1"
)
#: A unit's name, or a match: a field as journald names them, and its value.
_SELECTOR = re.compile(r"[A-Za-z0-9:_.\\@-]+|_?[A-Z][A-Z0-9_]{0,62}=[^\0\n]+")


def _parse_backend(name: Any) -> str:
    from mailbanned.firewall import BACKENDS  # imports the libraries of all backends

    if not isinstance(name, str) or name not in BACKENDS:
        raise ValueError(f"is not a firewall backend; known are {', '.join(BACKENDS)}")
    return name


def _parse_selectors(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("is not a list; write it like ['sshd.service']")
    if not value:
        raise ValueError("is an empty list; name at least one, or leave the key out")
    for selector in value:
        if not isinstance(selector, str) or not _SELECTOR.fullmatch(selector):
            raise ValueError(
                f"{selector!r} is neither a unit nor a match; write it like 'sshd.service' or "
                "'SYSLOG_IDENTIFIER=dovecot'"
            )
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class JailTable(JailDefaults):
    """[jails.NAME]: which failures lead to a ban. Every option of `[defaults]` can be set here."""

    enabled: bool = option(True, "`false`: the jail counts nothing; its bans last until they end")
    source: Name = field(metadata={"text": "the name of a `[sources.NAME]` table"})
    filter: Name = field(metadata={"text": "the name of a filter: its file without `.toml`"})
    accounts: Literal["any", "unknown"] = option(
        "any", '`"unknown"`: only attempts at accounts that do not exist count'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTable(Table):
    """[sources.NAME]: where log lines come from: either `path` or `journal`."""

    path: str | None = option(
        None, "a log file, or a pattern with `*`: every match is followed, later ones too"
    )
    journal: Annotated[list[str], Parsed(_parse_selectors, "list of texts")] | None = option(
        None,
        "systemd units whose journal is followed, or matches such as "
        '`"SYSLOG_IDENTIFIER=dovecot"`; entries count only if root or a system user wrote them, '
        "those of sshd only if root did",
    )
    timezone: TimeZone | None = option(
        None, "the zone of timestamps that carry none; without it, the zone of this host"
    )

    def __post_init__(self) -> None:
        if (self.path is None) == (self.journal is None):
            raise ValueError("needs either path or journal; give one of them")
        if self.path is not None and (not self.path or "\0" in self.path):
            raise ValueError("path names no file; give the path of a log")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallTable(Table):
    """[firewall]: how bans are enforced."""

    backend: Annotated[str, Parsed(_parse_backend, "text")] = option(
        "firewalld",
        '`"firewalld"`; `"nftables"`: a table of our own, for many bans or the ports of '
        'containers; `"dry-run"`: decides and logs, and changes nothing',
    )
    zone: str = option("", 'the firewalld zone of the rules; `""` finds those that face outward')
    verdict: Literal["drop", "reject"] = option(
        "drop", "whether packets of banned clients get no answer or a refusal"
    )
    cut_sessions: bool = option(True, "`true`: a ban also closes connections that are open already")
    interim: bool = option(
        True, "`true`: nftables enforces a ban until firewalld has taken its rule"
    )

    def __post_init__(self) -> None:
        if self.zone and self.backend == "nftables":
            raise ValueError("zone is for firewalld; leave it out, since nftables knows no zones")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTable(Table):
    """[store]: where bans, counts and read positions survive a restart."""

    path: FilePath = option(Path("/var/lib/mailbanned/state.db"), "the state file (SQLite)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlTable(Table):
    """[control]: how the command line reaches the daemon."""

    socket: FilePath = option(DEFAULT_SOCKET, "the unix socket")
    group: str = option(
        "", "a group whose members may use `status` and `why`; without it, only root may"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsTable(Table):
    """[accounts]: the database that knows which accounts exist."""

    backend: Literal["mysql", "sqlite", "none"] = option(
        "none",
        '`"mysql"` (MariaDB, too), `"sqlite"`, or `"none"`: jails with `accounts = "unknown"` '
        "count nothing",
    )
    host: str = option("127.0.0.1", "a name, an address, or the path of a unix socket (mysql)")
    port: Annotated[int, Between(1, 65535)] = option(3306, "the TCP port (mysql)")
    user: str = option("mailbanned", "the user to log in as (mysql)")
    password_file: FilePath = option(
        Path("/etc/mailbanned/mysql.password"), "a file whose first line is the password (mysql)"
    )
    database: str = option(
        "mailserver", "the name of the database (mysql), or the path of its file (sqlite)"
    )
    query: str = option(
        "",
        "returns a row if the account `%(user)s` exists; empty: looks in PostfixAdmin's `mailbox`",
    )
    timeout: Duration = option(
        0.5, "how long a query may take; without an answer, the account is taken to exist"
    )

    def __post_init__(self) -> None:
        parameter = ":user" if self.backend == "sqlite" else "%(user)s"
        if self.backend != "none" and parameter not in self.effective_query():
            raise ValueError(
                "query does not ask for the user; write %(user)s where the name belongs"
            )

    def effective_query(self) -> str:
        """The query as the library of the backend takes it: the given one, or the default."""
        if self.backend != "sqlite":
            return self.query or _MYSQL_QUERY
        if "%(user)s" in self.query:
            return self.query.replace("%(user)s", ":user").replace("%%", "%")
        return self.query or _SQLITE_QUERY


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTable(Table):
    """[log]: the daemon's own log, on stderr."""

    format: Literal["auto", "text", "keyvalue", "json"] = option(
        "auto", '`"auto"` is `"text"` on a terminal and `"keyvalue"` elsewhere'
    )
    level: Literal["debug", "info", "warning", "error"] = option(
        "info", "the lowest level that is logged"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Table):
    """The main file and conf.d, merged."""

    defaults: JailDefaults = JailDefaults()
    firewall: FirewallTable = FirewallTable()
    store: StoreTable = StoreTable()
    control: ControlTable = ControlTable()
    accounts: AccountsTable = AccountsTable()
    outage: OutageSettings = OutageSettings()
    log: LogTable = LogTable()
    sources: dict[Name, SourceTable] = field(default_factory=dict)
    jails: dict[Name, JailTable] = field(default_factory=dict)

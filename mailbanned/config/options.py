"""The value types of the configuration: durations, addresses, time zones.

Each parser raises ValueError("what is wrong; the remedy").

Every option of the configuration: one field each.

Type, default, limits and the text of the documentation stand in the field, and nowhere else.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mailbanned.address import Network, unmap_ipv4_network
from mailbanned.config.config import account_query
from mailbanned.config.errors import Strict
from mailbanned.control import DEFAULT_SOCKET

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", re.ASCII | re.IGNORECASE)
_FORM = "write it like 90, '90s', '15m', '24h', '7d' or '1d12h'"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
# A century; beyond it dates cannot be computed with, and nobody means it.
_LONGEST = 100 * 365 * 86400.0


def duration(value: Any) -> float:
    """Seconds: a bare number, or numbers with s, m, h, d, w (ms for short ones), added up."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"is not a duration; {_FORM}")
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            seconds = float(text)
        elif text and not _DURATION.sub("", text).strip():
            seconds = sum(float(n) * _SECONDS[u.lower()] for n, u in _DURATION.findall(text))
        else:
            raise ValueError(f"is not a duration; {_FORM}")
    else:
        seconds = value
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"must be more than nothing and at most a century; {_FORM}")
    return float(seconds)


def bantime(value: Any) -> float | None:
    """As duration; "permanent" or -1 is None: it never ends."""
    if value in ("permanent", -1, "-1") and not isinstance(value, bool):
        return None
    try:
        return duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or 'permanent'") from None


def network(value: Any) -> Network:
    """An address or a network in CIDR notation; host bits are cut off, mapped IPv4 is IPv4."""
    try:
        if not isinstance(value, str):
            raise ValueError
        return unmap_ipv4_network(ip_network(value.strip(), strict=False))
    except ValueError:
        raise ValueError(
            "is no address or network; write it like '192.0.2.7', '198.51.100.0/24' or "
            "'2001:db8::/32'"
        ) from None


def is_name(value: Any) -> bool:
    """Whether a source, a jail or a filter may be called so."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _name(value: str) -> str:
    if not is_name(value):
        raise ValueError("is not a name; use at most 64 letters, digits, '-', '_' and '.'")
    return value


def zone(value: Any) -> ZoneInfo:
    """A time zone by its IANA name."""
    try:
        if not isinstance(value, str) or not value:
            raise ValueError
        return ZoneInfo(value)
    except (ValueError, OSError, KeyError):  # an unknown name is a KeyError
        raise ValueError(
            "is no known time zone; use an IANA name such as 'Europe/Berlin' or 'UTC'"
        ) from None


Name = Annotated[str, AfterValidator(_name)]
Duration = Annotated[float, BeforeValidator(duration)]
BanTime = Annotated[float | None, BeforeValidator(bantime)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(lambda v: tuple(_networks(v)))]


def _networks(value: Any) -> list[Network]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("is not a list; write it like ['192.0.2.7', '198.51.100.0/24']")
    found = []
    for one in value:
        try:
            found.append(network(one))
        except ValueError as error:
            raise ValueError(f"{one!r} {error}") from None
    return found


#: A unit's name, or a match: a field as journald knows them, and the value that it has.
_ENTRY = re.compile(r"[A-Za-z0-9:_.\\@-]+|_?[A-Z][A-Z0-9_]{0,62}=[^\0\n]+")

_LOCAL: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1"))


def _option(default: Any, text: str, **limits: Any) -> Any:
    return Field(default, description=text, **limits)


def _file_path(value: Any) -> Path:
    if not isinstance(value, str) or "\0" in value or not Path(value).name:
        raise ValueError("is not a path of a file; name one")
    return Path(value)


def _backend(name: Any) -> str:
    from mailbanned.firewall import BACKENDS  # brings the libraries of all of them

    if not isinstance(name, str) or name not in BACKENDS:
        raise ValueError(f"is no firewall backend; known are {', '.join(BACKENDS)}")
    return name


def _entries(journal: list[str]) -> list[str]:
    wrong = [entry for entry in journal if not _ENTRY.fullmatch(entry)]
    if wrong:
        raise ValueError(
            f"{wrong[0]!r} is neither a unit nor a match; write it like 'sshd.service' or "
            "'SYSLOG_IDENTIFIER=dovecot'"
        )
    return journal


FilePath = Annotated[Path, BeforeValidator(_file_path)]


class Counting(Strict):
    """[defaults]: what holds for every jail that does not say otherwise."""

    findtime: Duration = _option(3600.0, "how far back failures count")
    bantime: BanTime = _option(86400.0, 'how long a ban lasts; `"permanent"` or `-1` is for ever')
    bantime_factor: float = _option(
        1, "each ban of the same client lasts so many times as long as the one before; `1`: no "
        "ban grows", ge=1, le=100,
    )  # fmt: skip
    bantime_max: BanTime = _option(
        30 * 86400.0, 'the longest that bans may grow to; `"permanent"` is without limit'
    )
    bantime_forgive: Duration = _option(
        30 * 86400.0, "so long after the end of its last ban a client begins anew"
    )
    widen_after: int = _option(
        0, "when so many clients of one network are banned within `findtime`, the ban falls on the "
        "network, unless it holds an ignored address or a client that has logged in; `0`: never",
        ge=0, le=1000,
    )  # fmt: skip
    widen_ipv4: int = _option(24, "the length of that network's prefix", ge=16, le=31)
    widen_ipv6: int = _option(48, "the same for IPv6", ge=32, le=127)
    maxretry: int = _option(3, "the failure that reaches this number brings the ban", ge=1, le=1000)
    ignore: Networks = _option(_LOCAL, "addresses and networks that are never counted or banned")
    ignore_own_addresses: bool = _option(
        True, "this host's own addresses are never counted or banned"
    )
    ipv6_prefix: int = _option(
        64, "the length of the prefix by which IPv6 is counted and banned", ge=32, le=128
    )
    passdb: str = _option(
        "",
        "if Dovecot asks several passdbs: the name of the last one, as its lines show it "
        '(`"sql"`, say); what the others say does not count',
    )


class JailTable(Strict):
    """[jails.NAME]: which failures lead to a ban. Any option of [defaults] may be set here."""

    enabled: bool = _option(True, "`false`: the jail rests; its bans stay until they end")
    source: Name = _option(..., "the name of a `[sources.NAME]` table")
    filter: Name = _option(..., "the name of a filter: its file without `.toml`")
    accounts: Literal["any", "unknown"] = _option(
        "any", '`"unknown"`: only attempts at accounts that do not exist count'
    )
    findtime: Duration | None = _option(None, "instead of the one in `[defaults]`")
    bantime: BanTime = _option(None, "instead of the one in `[defaults]`")
    bantime_factor: float | None = _option(None, "instead of the one in `[defaults]`", ge=1, le=100)
    bantime_max: BanTime = _option(None, "instead of the one in `[defaults]`")
    bantime_forgive: Duration | None = _option(None, "instead of the one in `[defaults]`")
    widen_after: int | None = _option(None, "instead of the one in `[defaults]`", ge=0, le=1000)
    widen_ipv4: int | None = _option(None, "instead of the one in `[defaults]`", ge=16, le=31)
    widen_ipv6: int | None = _option(None, "instead of the one in `[defaults]`", ge=32, le=127)
    maxretry: int | None = _option(None, "instead of the one in `[defaults]`", ge=1, le=1000)
    ignore: Networks | None = _option(None, "instead of the list in `[defaults]`")
    ignore_own_addresses: bool | None = _option(None, "instead of the one in `[defaults]`")
    ipv6_prefix: int | None = _option(None, "instead of the one in `[defaults]`", ge=32, le=128)
    passdb: str | None = _option(None, "instead of the one in `[defaults]`")


class SourceTable(Strict):
    """[sources.NAME]: where log lines come from: either `path` or `journal`."""

    path: str | None = _option(
        None, "a log file, or a pattern with `*`: every match is followed, later ones too"
    )
    journal: Annotated[list[str], AfterValidator(_entries)] | None = _option(
        None, "systemd units whose journal is followed, or matches such as "
        '`"SYSLOG_IDENTIFIER=dovecot"`; only what root and system users wrote counts, of sshd only '
        "what root did", min_length=1,
    )  # fmt: skip
    timezone: Annotated[ZoneInfo, BeforeValidator(zone)] | None = _option(
        None, "the zone of time stamps that carry none; without it, the zone of this host"
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> SourceTable:
        if (self.path is None) == (self.journal is None):
            raise ValueError("needs either path or journal; give one of them")
        if self.path is not None and (not self.path or "\0" in self.path):
            raise ValueError("path names no file; give the path of a log")
        return self


class FirewallTable(Strict):
    """[firewall]: how bans are enforced."""

    backend: Annotated[str, BeforeValidator(_backend)] = _option(
        "firewalld",
        '`"firewalld"`; `"nftables"`, a table of our own, for many bans or the ports of '
        'containers; or `"dry-run"`, which decides and logs, and touches nothing',
    )
    zone: str = _option("", 'the firewalld zone of the rules; `""` finds those that face outward')
    verdict: Literal["drop", "reject"] = _option(
        "drop", "whether packets of the banned get no answer, or a refusal"
    )
    cut_sessions: bool = _option(True, "a ban also ends the connections that are open already")
    interim: bool = _option(True, "a ban that waits for firewalld holds in nftables meanwhile")

    @model_validator(mode="after")
    def _zones_are_of_firewalld(self) -> FirewallTable:
        if self.zone and self.backend == "nftables":
            raise ValueError("zone is for firewalld; leave it out, since nftables knows no zones")
        return self


class StoreTable(Strict):
    """[store]: where bans, counts and read positions outlive the daemon."""

    path: FilePath = _option(Path("/var/lib/mailbanned/state.db"), "the state file (SQLite)")


class ControlTable(Strict):
    """[control]: how the command line reaches the daemon."""

    socket: FilePath = _option(DEFAULT_SOCKET, "the unix socket")
    group: str = _option(
        "", "a group whose members may use `status` and `why`, which otherwise only root may"
    )


class AccountsTable(Strict):
    """[accounts]: where to look up whether an account exists."""

    backend: Literal["mysql", "sqlite", "none"] = _option(
        "none", '`"mysql"` is MariaDB, too; with `"none"` the strict jails stay quiet'
    )
    host: str = _option("127.0.0.1", "a name, an address, or the path of a unix socket (mysql)")
    port: int = _option(3306, "the TCP port (mysql)", ge=1, le=65535)
    user: str = _option("mailbanned", "the user to log in as (mysql)")
    password_file: FilePath = _option(
        Path("/etc/mailbanned/mysql.password"), "a file whose first line is the password (mysql)"
    )
    database: str = _option(
        "mailserver", "the name of the database (mysql), or the path of its file (sqlite)"
    )
    query: str = _option(
        "", "gives a row if account `%(user)s` exists; empty: looks in PostfixAdmin's `mailbox`"
    )
    timeout: Duration = _option(0.5, "how long a query may take; after that, the account may exist")

    @model_validator(mode="after")
    def _asks_for_the_user(self) -> AccountsTable:
        mark = ":user" if self.backend == "sqlite" else "%(user)s"
        if self.backend != "none" and mark not in self.asked():
            raise ValueError(
                "query does not ask for the user; write %(user)s where the name belongs"
            )
        return self

    def asked(self) -> str:
        """The query that the database will see."""
        return account_query(self.backend, self.query)


class OutageTable(Strict):
    """[outage]: while the login backend is down, failed logins say nothing about anybody."""

    enabled: bool = _option(
        True, "`false`: failed logins always count, even while the servers log an outage"
    )
    hold: Duration = _option(60.0, "an outage is over so long after its last sign")
    clients: int = _option(
        3, "so many addresses that had logged in before, failing within `hold`, are an outage",
        ge=2, le=1000,
    )  # fmt: skip


class LogTable(Strict):
    """[log]: the daemon's own log, on stderr."""

    format: Literal["auto", "text", "keyvalue", "json"] = _option(
        "auto", '`"auto"` is `"text"` on a terminal and `"keyvalue"` elsewhere'
    )
    level: Literal["debug", "info", "warning", "error"] = _option(
        "info", "the least that is logged"
    )


class File(Strict):
    """The whole configuration."""

    defaults: Counting = Counting()
    firewall: FirewallTable = FirewallTable()
    store: StoreTable = StoreTable()
    control: ControlTable = ControlTable()
    accounts: AccountsTable = AccountsTable()
    outage: OutageTable = OutageTable()
    log: LogTable = LogTable()
    sources: dict[Name, SourceTable] = Field(default_factory=dict)
    jails: dict[Name, JailTable] = Field(default_factory=dict)

"""The settings of jails and of the outage detector, each option one field.

mailbanned.config reads them from the file. Durations are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Annotated

from mailbanned.address import Network
from mailbanned.configtypes import BanTime, Between, Duration, Networks, Table, option

_LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1"))
_MONTH = 30 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JailDefaults(Table):
    """[defaults]: the values of every jail that does not set its own."""

    findtime: Duration = option(3600.0, "how far back failures count")
    bantime: BanTime = option(86400.0, 'how long a ban lasts; `"permanent"` or `-1`: without end')
    bantime_factor: Annotated[float, Between(1, 100)] = option(
        1, "factor by which each repeated ban of a client grows; `1`: bans do not grow"
    )
    bantime_max: BanTime = option(
        _MONTH, 'the longest that bans grow to; `"permanent"`: without limit'
    )
    bantime_forgive: Duration = option(
        _MONTH, "how long after the end of its last ban a client counts as new again"
    )
    widen_after: Annotated[int, Between(0, 1000)] = option(
        0,
        "N clients of one network banned within `findtime` bring a ban of the network, unless "
        "it contains an ignored address or a client that has logged in; `0`: never",
    )
    widen_ipv4: Annotated[int, Between(16, 31)] = option(
        24, "the prefix length of that network for IPv4"
    )
    widen_ipv6: Annotated[int, Between(32, 127)] = option(
        48, "the prefix length of that network for IPv6"
    )
    maxretry: Annotated[int, Between(1, 1000)] = option(
        3, "the number of failures within `findtime` that brings a ban"
    )
    ignore: Networks = option(_LOOPBACK, "addresses and networks that are never counted or banned")
    ignore_own_addresses: bool = option(
        True, "`true`: this host's own addresses are never counted or banned"
    )
    ipv6_prefix: Annotated[int, Between(32, 128)] = option(
        64, "the prefix length at which IPv6 clients are counted and banned"
    )
    passdb: str = option(
        "",
        "if Dovecot asks several passdbs: the name of the last one as its log shows it, such "
        'as `"sql"`; failures in the others do not count',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JailSettings(JailDefaults):
    """All that the configuration says about a jail.

    unknown_accounts: only attempts at accounts that do not exist count.
    outage: the failures come from a login backend; they do not count while it is down.
    """

    name: str
    source: str
    filter: str
    unknown_accounts: bool = False
    outage: bool = False


@dataclass(frozen=True, slots=True)
class OutageSettings(Table):
    """[outage]: while the login backend is down, failed logins do not count."""

    enabled: bool = option(
        True, "`false`: failed logins always count, even while the servers log an outage"
    )
    hold: Duration = option(60.0, "how long an outage lasts after its last sign")
    clients: Annotated[int, Between(2, 1000)] = option(
        3,
        "N addresses that had logged in before and now fail within `hold` are an outage; fewer "
        "suffice if fewer have logged in within a day",
    )

"""The values that travel through the house, all immutable: Block, Line, Failure, Ban, Unban.

    log bytes -> Block -> Line -> Failure -> Ban -> packets dropped

Times are seconds since the epoch (float, UTC). `None` as an end means "permanent".
Line, Failure, Sign and Ban are tuples rather than dataclasses because the busiest logs make
hundreds of thousands of them a second, and a tuple is made four times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple, NewType

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The network that is counted and banned, in canonical text: "203.0.113.5/32", "2001:db8:1:2::/64".
Subject = NewType("Subject", str)


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines read at once from one source.

    data: complete lines, each ending in LF (never a part of a line), each message in one of them.
    arrived: when the bytes were read (epoch); a live line counts at this time.
    ticks: the same moment on the monotonic clock, for reaction times; from the journal, when it
        got the first of the lines.
    live: False while a source catches up with what was written before the daemon followed it;
        such lines count at their own time stamp.
    marks: where reading resumes after these lines, one opaque text for each file (or journal) of
        the source. It is the whole set: whatever is missing in it is no longer followed.
    """

    source: str
    data: bytes
    arrived: float
    ticks: float
    live: bool
    marks: Mapping[str, str] = field(default_factory=dict)


class Line(NamedTuple):
    """One log line without its time stamp and host name.

    number: counts from 1 within the log (or block) it came from; where nobody asks for it, it is
        the byte at which the line begins in its block.
    at: the line's own time stamp, None if it has none that can be read.
    text: from the program tag on: b"postfix/smtpd[123]: warning: ...".
    times: so often was it written, where a logger has folded repeats into one line.
    """

    number: int
    at: float | None
    text: bytes
    times: int = 1


#: A Line, or a bare tuple of what it holds, which costs a tenth of it.
Fields = tuple[int, float | None, bytes, int]


class Failure(NamedTuple):
    """One matched line: who failed, when, as whom, and which pattern says so.

    address: canonical text, "203.0.113.5" or "2001:db8::5"; busy code only compares it.
    user: the attempted account as the server logged it, None if the line names none. Bytes that
        are no UTF-8 stand as U+FFFD.
    rule: "filter/pattern".
    summary: the line sums up, at the end of a connection, what other lines may have told already.
    session: the server's own name of the connection or login, None if the line has none.
    passdb: which of the server's account databases refused, None if the line does not say.
    times: so many attempts does it tell of (a logger may fold repeats into one line; a server may
        sum up a connection).
    """

    number: int
    at: float | None
    address: str
    user: str | None
    rule: str
    summary: bool = False
    session: str | None = None
    passdb: str | None = None
    times: int = 1


class Sign(NamedTuple):
    """One matched line that is no failure but tells how failures are to be taken.

    kind: "success" (a login that was let in) or "outage" (the server cannot reach its accounts).
    address: whom it concerns, canonical text; None if it concerns everybody.
    """

    number: int
    at: float | None
    kind: str
    address: str | None
    user: str | None
    rule: str


class Ban(NamedTuple):
    """A jail's decision to keep a subject out, from `since` until `until` (None: for ever).

    ticks: monotonic time at which the deciding line was read; None for bans by hand, restored
        bans and bans from caught-up lines, which say nothing about reaction times.
    """

    jail: str
    subject: Subject
    since: float
    until: float | None
    failures: int
    user: str | None = None
    reason: str = ""
    ticks: float | None = None

    def holds(self, now: float) -> bool:
        """Whether the ban is still to be enforced at `now`."""
        return self.until is None or self.until > now


@dataclass(frozen=True, slots=True)
class Unban:
    """The end of a jail's ban. `last` says that no other jail keeps the subject out any more."""

    jail: str
    subject: Subject
    at: float
    reason: str
    last: bool = True


@lru_cache(maxsize=8192)
def parse_address(text: bytes) -> str | None:
    """The address that a server wrote into a line, in canonical text, or None if it is none.

    An IPv4 address in IPv6 clothing (::ffff:192.0.2.1) becomes the IPv4 address, since that is
    what is on the wire. Zone ids (fe80::1%eth0) are refused: they name no host to ban.
    """
    # inet_pton is as strict as ipaddress (no leading zeros, no zone ids) and ten times as fast.
    try:
        if b":" in text:
            return str(fold(IPv6Address(inet_pton(AF_INET6, text.decode("ascii")))))
        return str(IPv4Address(inet_pton(AF_INET, text.decode("ascii"))))
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=1024)
def host_of(address: str) -> Address:
    """An address in canonical text as what it is."""
    if ":" in address:
        return IPv6Address(inet_pton(AF_INET6, address))
    return IPv4Address(inet_pton(AF_INET, address))


def fold(address: Address) -> Address:
    """IPv4-mapped IPv6 addresses as the IPv4 address they carry; all others as they are."""
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


def meet(one: Network, other: Network) -> bool:
    """Whether two networks share an address."""
    return one.version == other.version and one.overlaps(other)


def fold_network(network: Network) -> Network:
    """As fold, for a network: ::ffff:192.0.2.0/120 is 192.0.2.0/24."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return ip_network((mapped, network.prefixlen - 96))


@lru_cache(maxsize=8192)
def subject_of(address: str, ipv6_prefix: int = 64) -> Subject:
    """The subject under which an address (canonical text) is counted: itself for IPv4, its prefix
    for IPv6.
    """
    if ":" not in address:
        return Subject(f"{address}/32")
    return Subject(str(ip_network((address, ipv6_prefix), strict=False)))


@lru_cache(maxsize=4096)
def network_of(subject: Subject) -> Network:
    """The subject as a network object."""
    return ip_network(subject)


def plain(subject: Subject) -> str:
    """The subject as people write it: a single host without its prefix length."""
    return subject.removesuffix("/32") if ":" not in subject else subject.removesuffix("/128")

"""Addresses, networks and subjects: their canonical text, and which of them may be banned.

An address is text in canonical form: "203.0.113.5", "2001:db8::5". A subject is the network that is
counted and banned: the address itself for IPv4, its /64 for IPv6, or a wider network.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import NewType

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The network that is counted and banned, in canonical text: "203.0.113.5/32", "2001:db8:1:2::/64".
Subject = NewType("Subject", str)


#: No rule can or should stop these: they never reach the host from outside, or are the host itself.
#: IPv4-mapped addresses (::ffff:0:0/96) are never on the wire.
NEVER_BANNED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4"),
        *("::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8"),
    )
)

#: The shortest prefix that may be banned, by version: a typing error must not ban a continent.
SHORTEST_PREFIX = {4: 8, 6: 16}


class NotBannable(ValueError):
    """The subject must not be banned; the text says why."""


@lru_cache(maxsize=8192)
def parse_address(text: bytes) -> str | None:
    """The address that a server wrote into a line, in canonical text, or None if it is none.

    An IPv4 address in IPv6 clothing (::ffff:192.0.2.1) becomes the IPv4 address, since that is
    what is on the wire. Zone ids (fe80::1%eth0) are refused: they name no host to ban.
    """
    # inet_pton is as strict as ipaddress (no leading zeros, no zone ids) and ten times as fast.
    try:
        if b":" in text:
            return str(unmap_ipv4(IPv6Address(inet_pton(AF_INET6, text.decode("ascii")))))
        return str(IPv4Address(inet_pton(AF_INET, text.decode("ascii"))))
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=1024)
def to_ip(address: str) -> Address:
    """An address in canonical text as what it is."""
    if ":" in address:
        return IPv6Address(inet_pton(AF_INET6, address))
    return IPv4Address(inet_pton(AF_INET, address))


def unmap_ipv4(address: Address) -> Address:
    """IPv4-mapped IPv6 addresses as the IPv4 address they carry; all others as they are."""
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


def overlap(one: Network, other: Network) -> bool:
    """Whether two networks share an address."""
    return one.version == other.version and one.overlaps(other)


def unmap_ipv4_network(network: Network) -> Network:
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


def display_subject(subject: Subject) -> str:
    """The subject as people write it: a single host without its prefix length."""
    return subject.removesuffix("/32") if ":" not in subject else subject.removesuffix("/128")


def require_bannable(subject: Subject) -> Network:
    """The subject's network. Raises NotBannable, with the reason, if it must not be banned."""
    try:
        network = _parse_network(subject)
    except (OSError, ValueError) as error:
        raise NotBannable(f"{subject} is no network: {error}") from None
    if str(network) != subject:
        raise NotBannable(f"{subject} is not in canonical form: {network}")
    if network.prefixlen < SHORTEST_PREFIX[network.version]:
        raise NotBannable(f"{subject} is too large a network to be banned")
    first, last = _range(network)
    for special, lowest, highest in _NEVER_BANNED_RANGES:
        if first <= highest and lowest <= last and special.version == network.version:
            raise NotBannable(f"{subject} holds addresses of {special}, which no ban can stop")
    return network


def _parse_network(subject: Subject) -> Network:
    """As ip_network, but as fast as thousands of bans at once need it. Raises OSError, too."""
    address, _, length = subject.partition("/")
    if ":" in address:
        return IPv6Network((inet_pton(AF_INET6, address), int(length)))
    return IPv4Network((inet_pton(AF_INET, address), int(length)))


def _range(network: Network) -> tuple[int, int]:
    """The first and the last address, as numbers."""
    # `overlaps` and `broadcast_address` take ten times as long.
    first = int(network.network_address)
    return first, first + (1 << (network.max_prefixlen - network.prefixlen)) - 1


_NEVER_BANNED_RANGES = tuple((network, *_range(network)) for network in NEVER_BANNED)

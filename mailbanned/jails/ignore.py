"""Who is never counted and never banned: addresses, networks, and this host's own addresses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import collapse_addresses, ip_network
from socket import AF_INET, AF_INET6, inet_pton

from mailbanned.address import Network, overlap

# Loopback, link-local, multicast and unspecified addresses: their packets never reach a rule, or
# they belong to nobody that could be kept out.
_NEVER = tuple(
    ip_network(text)
    for text in ("0.0.0.0/32", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",
                 "::/128", "::1/128", "fe80::/10", "ff00::/8")
)  # fmt: skip


class IgnoreList:
    """Networks that no failure and no ban may touch.

    Addresses that no rule can or should stop (loopback, link-local, multicast, unspecified) are
    always ignored.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        self.networks = tuple(dict.fromkeys(networks))
        # Per version the first and last addresses of disjoint ranges, as numbers, in order.
        self._starts: dict[int, list[int]] = {}
        self._ends: dict[int, list[int]] = {}
        for version in (4, 6):
            every = [n for n in (*self.networks, *_NEVER) if n.version == version]
            ranges = list(collapse_addresses(every))  # type: ignore[type-var]  # of one version
            self._starts[version] = [int(one.network_address) for one in ranges]
            self._ends[version] = [int(one.broadcast_address) for one in ranges]

    def covers(self, address: str) -> bool:
        """Whether failures of this address (canonical text) are to be ignored."""
        # Every newcomer comes by here: an address object would take five times as long.
        version, family = (6, AF_INET6) if ":" in address else (4, AF_INET)
        number = int.from_bytes(inet_pton(family, address), "big")
        return self._meets(version, number, number)

    def touched_by(self, network: Network) -> Network | None:
        """The first ignored network that shares an address with `network`, or None.

        A ban wider than one address must not take an ignored one along.
        """
        first, last = int(network.network_address), int(network.broadcast_address)
        if not self._meets(network.version, first, last):
            return None
        every = (*self.networks, *_NEVER)
        return next(n for n in every if overlap(n, network))

    def _meets(self, version: int, first: int, last: int) -> bool:
        """Whether an ignored range shares a number with first..last."""
        before = bisect_right(self._starts[version], last) - 1
        return before >= 0 and self._ends[version][before] >= first

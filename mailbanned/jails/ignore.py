"""The addresses that are never counted and never banned, whatever the logs say."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import collapse_addresses
from socket import AF_INET, AF_INET6, inet_pton

from mailbanned.address import NEVER_BANNED, Network, overlap


class IgnoreList:
    """Networks that no failure and no ban may touch.

    networks: those that were listed. The addresses that no rule can or should stop (NEVER_BANNED)
        are always ignored, too.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        self.networks = tuple(dict.fromkeys(networks))
        # By version, the first and last addresses of disjoint ranges, as numbers, in order.
        self._starts: dict[int, list[int]] = {}
        self._ends: dict[int, list[int]] = {}
        for version in (4, 6):
            ignored = [n for n in (*self.networks, *NEVER_BANNED) if n.version == version]
            ranges = list(collapse_addresses(ignored))  # type: ignore[type-var]  # of one version
            self._starts[version] = [int(network.network_address) for network in ranges]
            self._ends[version] = [int(network.broadcast_address) for network in ranges]

    def covers(self, address: str) -> bool:
        """Whether failures of this address (canonical text) are to be ignored."""
        # Every new address is checked here, and an address object would take five times as long.
        version, family = (6, AF_INET6) if ":" in address else (4, AF_INET)
        number = int.from_bytes(inet_pton(family, address), "big")
        return self._overlaps(version, number, number)

    def touched_by(self, network: Network) -> Network | None:
        """The first ignored network that shares an address with `network`, or None.

        A ban wider than one address must not include an ignored address.
        """
        first, last = int(network.network_address), int(network.broadcast_address)
        if not self._overlaps(network.version, first, last):
            return None
        return next(n for n in (*self.networks, *NEVER_BANNED) if overlap(n, network))

    def _overlaps(self, version: int, first: int, last: int) -> bool:
        """Whether an ignored range shares a number with first..last."""
        before = bisect_right(self._starts[version], last) - 1
        return before >= 0 and self._ends[version][before] >= first

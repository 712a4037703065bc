"""Who is never counted and never banned: addresses, networks, and this host's own addresses."""

from __future__ import annotations

from collections.abc import Iterable

from mailbanned.model import Address, Network

# Packets of these either never reach a firewall rule or belong to nobody that could be kept out.
_NEVER = ("is_unspecified", "is_multicast", "is_link_local", "is_loopback")
_REMEMBERED = 65536


class IgnoreList:
    """Networks that no failure and no ban may touch.

    Addresses that no rule can or should stop (loopback, link-local, multicast, unspecified) are
    always ignored.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        self.networks = tuple(dict.fromkeys(networks))
        self._known: dict[Address, bool] = {}

    def covers(self, address: Address) -> bool:
        """Whether failures of this address are to be ignored."""
        try:
            return self._known[address]
        except KeyError:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            ignored = any(getattr(address, kind) for kind in _NEVER) or any(
                address in network for network in self.networks
            )
            self._known[address] = ignored
            return ignored

    def touched_by(self, network: Network) -> Network | None:
        """The first ignored network that shares an address with `network`, or None.

        A ban wider than one address must not take an ignored one along.
        """
        for ignored in self.networks:
            if ignored.version == network.version and ignored.overlaps(network):
                return ignored
        return network if any(getattr(network.network_address, kind) for kind in _NEVER) else None

"""How many clients of one network a jail has banned lately, so that a ban may fall on the network.

Known limit: the 10,000 networks in which somebody was banned last are remembered.
"""

from __future__ import annotations

from collections import OrderedDict

from mailbanned.model import Subject, network_of

_REMEMBERED = 10_000


class Neighbours:
    """Banned subjects, and when, by the network that they are in."""

    def __init__(self) -> None:
        self._banned: OrderedDict[Subject, dict[Subject, float]] = OrderedDict()

    def note(self, network: Subject, subject: Subject, at: float, findtime: float) -> int:
        """A subject of the network is banned; returns how many were within findtime before."""
        banned = self._banned.setdefault(network, {})
        self._banned.move_to_end(network)
        banned[subject] = at
        for other in [who for who, since in banned.items() if since <= at - findtime]:
            del banned[other]
        if len(self._banned) > _REMEMBERED:
            self._banned.popitem(last=False)
        return len(banned)

    def forget(self, network: Subject) -> None:
        """Nobody in this network was banned."""
        self._banned.pop(network, None)


def around(subject: Subject, ipv4: int, ipv6: int) -> Subject | None:
    """The network that a subject is in, by the length of its prefix; None if it is no wider."""
    network = network_of(subject)
    length = ipv4 if network.version == 4 else ipv6
    if network.prefixlen <= length:
        return None
    return Subject(str(network.supernet(new_prefix=length)))

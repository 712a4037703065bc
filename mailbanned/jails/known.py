"""Who in given networks is banned or has failed, however many there are elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from mailbanned.jails.engine import Engine
from mailbanned.jails.ledger import Ledger
from mailbanned.jails.window import Windows
from mailbanned.model import Network, Subject


def known(engine: Engine, networks: Iterable[Network]) -> list[Subject]:
    """Everybody in these networks who is banned or has failures on record, each once."""
    windows = [jail.windows for jail in engine.jails.values()]
    held: list[Ledger | Windows] = [engine.ledger, *windows]
    found: dict[Subject, None] = {}
    for network in networks:
        if network.num_addresses > 1:
            found.update(dict.fromkeys(chain(*(one.within(network) for one in held))))
        else:  # Then there are few subjects that it can be in, and nobody else is looked at.
            subjects = _holding(network)
            found.update(dict.fromkeys(s for s in subjects if any(s in one for one in held)))
    return list(found)


def _holding(address: Network) -> list[Subject]:
    """Every subject, of whatever size, that holds the address; the smallest first."""
    lengths = range(address.prefixlen, -1, -1)
    return [Subject(str(address.supernet(new_prefix=length))) for length in lengths]

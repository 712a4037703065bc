"""Subjects that must never be banned: one list for the jails and for the firewall."""

from __future__ import annotations

import pytest

from mailbanned.address import (
    NEVER_BANNED,
    SHORTEST_PREFIX,
    Network,
    NotBannable,
    Subject,
    require_bannable,
    subject_of,
)
from mailbanned.jails.ignore import IgnoreList


@pytest.mark.parametrize("network", NEVER_BANNED, ids=str)
def test_what_the_jails_ignore_the_firewall_refuses(network: Network) -> None:
    """The first and the last address of each special network are neither counted nor banned."""
    for address in (network[0], network[-1]):
        assert IgnoreList([]).covers(str(address))
        with pytest.raises(NotBannable, match="no ban can stop"):
            require_bannable(subject_of(str(address), ipv6_prefix=128))


def test_an_ordinary_subject_is_its_network() -> None:
    """What may be banned comes back as a network, also at the shortest prefix."""
    for text in ("192.0.2.7/32", "2001:db8::/64", f"11.0.0.0/{SHORTEST_PREFIX[4]}"):
        assert str(require_bannable(Subject(text))) == text

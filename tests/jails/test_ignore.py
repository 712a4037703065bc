"""Addresses that are never counted and never banned."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbanned.address import Address, Network, overlap
from mailbanned.jails import IgnoreList

OFFICE = [ip_network("198.51.100.0/24"), ip_network("192.0.2.7"), ip_network("2001:db8:5::/48")]


@pytest.mark.parametrize(
    ("address", "ignored"),
    [
        ("198.51.100.0", True),
        ("198.51.100.255", True),
        ("198.51.101.0", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8:5:ffff::1", True),
        ("2001:db8:6::1", False),
    ],
)
def test_covers_what_was_listed(address: str, ignored: bool) -> None:
    """An address is ignored if a listed address or network holds it, and not beside it."""
    ignore = IgnoreList(OFFICE)
    assert ignore.covers(address) is ignored
    assert ignore.covers(address) is ignored, "the second look says the same"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.1.1", "224.0.0.1", "::", "::1",
     "fe80::1", "ff02::1"],
)  # fmt: skip
def test_some_are_always_ignored(address: str) -> None:
    """Addresses that no rule can or should stop need not be listed."""
    assert IgnoreList([]).covers(address)
    assert IgnoreList([]).touched_by(ip_network(address)) is not None


def test_others_are_not() -> None:
    """An empty list ignores no address that a client can have, private ones included."""
    for address in ("192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"):
        assert not IgnoreList([]).covers(address)
        assert IgnoreList([]).touched_by(ip_network(address)) is None


@given(st.ip_addresses())
def test_covered_means_touched(address: Address) -> None:
    """An address is ignored if and only if the network of this address alone cannot be banned."""
    ignore = IgnoreList(OFFICE)
    assert ignore.covers(str(address)) is (ignore.touched_by(ip_network(address)) is not None)


@pytest.mark.parametrize(
    ("network", "touched"),
    [
        ("198.51.100.128/25", "198.51.100.0/24"),
        ("198.51.0.0/16", "198.51.100.0/24"),
        ("192.0.2.0/24", "192.0.2.7/32"),
        ("192.0.2.8/29", None),
        ("2001:db8::/32", "2001:db8:5::/48"),
        ("2001:db8:5:1::/64", "2001:db8:5::/48"),
        ("2001:db8:6::/48", None),
        ("169.0.0.0/8", "169.254.0.0/16"),
        ("fe00::/8", "fe80::/10"),
    ],
)
def test_a_wide_ban_touches_ignored_networks(network: str, touched: str | None) -> None:
    """A network that shares any address with an ignored one is touched, and says which."""
    ignored = IgnoreList(OFFICE).touched_by(ip_network(network))
    assert (None if ignored is None else str(ignored)) == touched


def networks(first: str) -> st.SearchStrategy[Network]:
    """Networks of all sizes within 64 addresses, so that they overlap, nest and adjoin."""
    start, bits = int(ip_address(first)), ip_address(first).max_prefixlen
    return st.builds(
        lambda offset, size: ip_network((start + offset, bits - size), strict=False),
        st.integers(0, 63),
        st.integers(0, 6),
    )


MIXED = networks("192.0.2.64") | networks("2001:db8::40")


@given(st.lists(MIXED, max_size=8), MIXED)
def test_like_a_look_at_every_network(listed: list[Network], asked: Network) -> None:
    """Whatever is listed, covers and touched_by give the same result as a look at each network."""
    ignore = IgnoreList(listed)
    overlapping = [network for network in listed if overlap(network, asked)]
    assert ignore.touched_by(asked) == (overlapping[0] if overlapping else None)
    address = asked.network_address
    assert ignore.covers(str(address)) is any(address in network for network in listed)

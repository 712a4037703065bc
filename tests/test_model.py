"""The values that travel: addresses as servers write them, subjects, the end of a ban; time."""

from __future__ import annotations

import time
from datetime import datetime
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailbanned.address import (
    Address,
    Subject,
    display_subject,
    network_of,
    parse_address,
    subject_of,
    unmap_ipv4,
    unmap_ipv4_network,
)
from mailbanned.clock import SystemClock, iso
from mailbanned.model import Ban, Block, Unban

ADDRESSES = st.ip_addresses()
NAMED = Subject("203.0.113.5/32")


@given(ADDRESSES)
def test_written_addresses_are_read(address: Address) -> None:
    """Any address in canonical text is read as itself, mapped ones as the IPv4 they carry."""
    assert parse_address(str(address).encode()) == str(unmap_ipv4(address))


def test_mapped_address_is_the_one_on_the_wire() -> None:
    """An IPv4 client that a server shows in IPv6 clothing is the IPv4 client."""
    assert parse_address(b"::ffff:192.0.2.1") == "192.0.2.1"
    assert parse_address(b"::FFFF:c000:0201") == "192.0.2.1"


@pytest.mark.parametrize(
    "text",
    [b"", b" ", b"192.0.2", b"192.0.2.256", b"192.0.2.01", b"192.0.2.1/32", b"::1%eth0",
     b"fe80::1%1", b":::", b"host", b"192.0.2.1\n", b"192.0.2.1 ", b"\xd9\xa1.2.3.4",
     b"1" * 5000],
)  # fmt: skip
def test_no_address(text: bytes) -> None:
    """What is not exactly an address, or names one only on some link, is None."""
    assert parse_address(text) is None


@given(st.binary(max_size=50))
@example(b"%")
@example(b"\xff\xfe")
def test_any_bytes_are_harmless(text: bytes) -> None:
    """Whatever stands in a line, reading it as an address never fails."""
    address = parse_address(text)
    assert address is None or address == str(unmap_ipv4(ip_address(text.decode())))


@given(ADDRESSES, st.integers(32, 128))
def test_subject_holds_its_address(address: Address, prefix: int) -> None:
    """An address lies in the network that it is counted under: itself, or its IPv6 prefix."""
    network = network_of(subject_of(str(address), prefix))
    assert address in network
    assert network.prefixlen == (32 if address.version == 4 else prefix)


@given(ADDRESSES)
def test_subject_is_canonical(address: Address) -> None:
    """A subject read as a network and written again is the same text, so it may be a key."""
    subject = subject_of(str(address))
    assert str(network_of(subject)) == subject


def test_ipv6_neighbours_share_a_subject() -> None:
    """Two addresses of one /64 are one subject, those of two are two."""
    one, neighbour, other = "2001:db8::1", "2001:db8::ff:1", "2001:db8:0:1::1"
    assert subject_of(one) == subject_of(neighbour) == "2001:db8::/64"
    assert subject_of(other) == "2001:db8:0:1::/64"


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("203.0.113.5/32", "203.0.113.5"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_plain(subject: str, text: str) -> None:
    """A single host is written without its prefix length, a network with it."""
    assert display_subject(Subject(subject)) == text


def test_ban_ends_at_until() -> None:
    """A ban holds until its end and no longer; a permanent one always holds."""
    ban = Ban("sshd", NAMED, since=100.0, until=200.0, failures=3)
    assert ban.is_active(199.999)
    assert not ban.is_active(200.0)
    assert Ban("sshd", NAMED, since=100.0, until=None, failures=3).is_active(1e12)


def test_values_are_frozen() -> None:
    """Nobody on the way changes a value that another holds."""
    values: list[tuple[object, str]] = [
        (Ban("sshd", NAMED, 1.0, 2.0, 3), "jail"),
        (Unban("sshd", NAMED, 1.0, "expired"), "jail"),
        (Block("sshd", b"", 1.0, 1.0, True), "source"),
    ]
    for value, name in values:
        with pytest.raises(AttributeError):
            setattr(value, name, "other")


def test_system_clock() -> None:
    """now() is the time of day in seconds since the epoch, ticks() the clock that never jumps."""
    clock = SystemClock()
    assert time.time() <= clock.now() <= time.time()
    assert time.monotonic() <= clock.monotonic() <= time.monotonic()


@given(st.floats(0, 4e9))
def test_iso_is_exact(at: float) -> None:
    """A time in ISO 8601 carries its offset and reads back as the same microsecond."""
    text = iso(at)
    assert text is not None
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    assert moment.timestamp() == pytest.approx(at, abs=1e-6)


def test_iso_of_never() -> None:
    """No time stays None: the end of a permanent ban."""
    assert iso(None) is None


def test_a_mapped_network_is_the_ipv4_network() -> None:
    """Networks of IPv4 addresses in IPv6 clothing are unclothed, wider and other ones are not."""
    for text, folded in (
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::/64", "::/64"),
        ("2001:db8::/32", "2001:db8::/32"),
    ):
        assert str(unmap_ipv4_network(ip_network(text))) == folded

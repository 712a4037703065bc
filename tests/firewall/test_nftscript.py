"""Our nftables table as text: the scripts that make it, and what is read from its listing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mailbanned.address import Subject
from mailbanned.firewall import Verdict
from mailbanned.firewall.nftscript import PrefixSet, create_sets, parse_listing, set_for

CHAIN = {"name": "ipv4_32", "type": "filter", "hook": "prerouting", "prio": -310,
         "policy": "accept"}  # fmt: skip


def rule(comment: str) -> dict[str, Any]:
    """A rule of the chain above, as nft lists it."""
    return {"rule": {"chain": "ipv4_32", "comment": comment, "expr": []}}


def sound(*elements: Any) -> list[dict[str, Any]]:
    """A listing of a set with these elements, and its chain as it should be."""
    return [
        {"metainfo": {"json_schema_version": 1}},
        {"table": {"family": "inet", "name": "mailbanned"}},
        {"set": {"name": "ipv4_32", "type": "ipv4_addr", "elem": list(elements)}},
        {"chain": CHAIN},
        rule("lo"),
        rule("ipv4_32 drop"),
    ]


def listing(items: list[dict[str, Any]]) -> bytes:
    return json.dumps({"nftables": items}).encode()


@pytest.mark.parametrize(
    ("prefix_set", "verdict", "rules"),
    [
        (PrefixSet(4, 32), "drop", ["ip saddr @ipv4_32 drop"]),
        (PrefixSet(4, 19), "drop", ["ip saddr & 255.255.224.0 @ipv4_19 drop"]),
        (PrefixSet(6, 128), "drop", ["ip6 saddr @ipv6_128 drop"]),
        (PrefixSet(6, 61), "reject",
         ["ip6 saddr & ffff:ffff:ffff:fff8:: @ipv6_61 meta l4proto tcp reject with tcp reset",
          "ip6 saddr & ffff:ffff:ffff:fff8:: @ipv6_61 reject"]),
    ],
)  # fmt: skip
def test_a_prefix_set_is_a_set_and_a_chain_that_looks_the_sender_up(
    prefix_set: PrefixSet, verdict: Verdict, rules: list[str]
) -> None:
    """The sender's address, cut to the length of the set, decides; the host itself is spared."""
    lines = create_sets([prefix_set], verdict).splitlines()
    here = f"inet mailbanned {prefix_set.name}"
    assert lines[:4] == [
        "add table inet mailbanned",
        f"add set {here} {{ type ipv{prefix_set.version}_addr; flags timeout; }}",
        f"add chain {here} {{ type filter hook prerouting priority -310; policy accept; }}",
        f"flush chain {here}",
    ]
    written = [
        line.removeprefix(f"add rule {here} ").partition(" comment")[0] for line in lines[4:]
    ]
    assert written == ["iif lo accept", *rules]


def test_a_subject_has_its_set() -> None:
    """The length of its prefix decides, so overlapping networks never meet in one set."""
    assert set_for(Subject("192.0.2.0/24")) == (PrefixSet(4, 24), "192.0.2.0")
    assert set_for(Subject("192.0.2.0/32")) == (PrefixSet(4, 32), "192.0.2.0")
    assert set_for(Subject("2001:db8::/64")) == (PrefixSet(6, 64), "2001:db8::")


def test_bans_are_read_with_their_ends() -> None:
    """Elements with and without an end are bans; those that end soon are expiring."""
    elements = (
        "192.0.2.1",
        {"elem": {"val": "192.0.2.2", "timeout": 900, "expires": 100}},
        {"elem": {"val": "192.0.2.3", "timeout": 900, "expires": 99}},
        {"elem": {"val": "192.0.2.4", "comment": "by hand"}},
    )
    found = parse_listing(listing(sound(*elements)), "drop", soon=100)
    assert found.bans == {f"192.0.2.{n}/32" for n in (1, 2, 3, 4)}
    assert found.expiring == {"192.0.2.3/32"}
    assert found.sets == found.intact == {PrefixSet(4, 32)}


def test_other_sets_are_no_bans() -> None:
    """Sets with other names have no prefix length, and are let be."""
    names = ("ipv4_33", "ipv6_129", "ipv4_-1", "ipv4_032", "allowed", "ipv5_3")
    sets = [{"set": {"name": name, "elem": ["192.0.2.1"]}} for name in names]
    found = parse_listing(listing(sets), "drop", soon=0)
    assert (found.bans, found.sets) == (set(), set())


def test_addresses_are_read_as_ipaddress_writes_them() -> None:
    """The C library writes some IPv6 addresses with dots, and subjects never have them."""
    sets = [{"set": {"name": "ipv6_128", "elem": ["::192.0.2.1", "2001:db8::1"]}}]
    found = parse_listing(listing(sets), "drop", soon=0)
    assert found.bans == {"::c000:201/128", "2001:db8::1/128"}


@pytest.mark.parametrize(
    "items",
    [
        sound()[:3],
        sound()[:5],
        sound()[:4],
        [*sound()[:3], *sound()[4:]],
        [*sound(), rule("something else")],
        [*sound()[:3], {"chain": {**CHAIN, "prio": 0}}, *sound()[4:]],
        [*sound()[:3], {"chain": {"name": "ipv4_32"}}, *sound()[4:]],
        [*sound()[:5], rule("ipv4_32 reject")],
        [*sound()[:4], {"rule": {"chain": "ipv4_32", "expr": []}}, rule("ipv4_32 drop")],
    ],
)
def test_a_chain_that_was_changed_is_found(items: list[dict[str, Any]]) -> None:
    """Without its hook or any of its rules, or with more of them, a prefix_set is not sound."""
    found = parse_listing(listing(items), "drop", soon=0)
    assert (found.sets, found.intact) == ({PrefixSet(4, 32)}, set())
    assert parse_listing(listing(sound()), "drop", soon=0).intact == {PrefixSet(4, 32)}

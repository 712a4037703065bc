"""The zones that get our rules: those which really see the attackers' packets."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailbanned.firewall import FirewallDown
from mailbanned.firewall.zones import choose_zones, outward_interfaces

ROUTES4 = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
{default}\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth7\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0
eth8\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
eth9\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
ZERO = "0" * 32
ROUTES6 = f"""\
fd000000000000000000000000000000 40 {ZERO} 00 {ZERO} 00000100 00000001 00000000 00000001     eth9
{ZERO} 00 {ZERO} 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     wg0
{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo
"""


def test_reads_the_default_routes_of_the_kernel(tmp_path: Path) -> None:
    """An interface faces outward if a usable default route, IPv4 or IPv6, leads through it."""
    (tmp_path / "route").write_text(ROUTES4.format(default="eth0"))
    (tmp_path / "ipv6_route").write_text(ROUTES6)
    assert outward_interfaces(tmp_path) == {"eth0", "wg0"}


def test_a_kernel_without_ipv6_has_ipv4_routes(tmp_path: Path) -> None:
    """A missing table is an empty one."""
    (tmp_path / "route").write_text(ROUTES4.format(default="eth0"))
    assert outward_interfaces(tmp_path) == {"eth0"}
    assert outward_interfaces(tmp_path / "absent") == set()


ACTIVE = {
    "external": {"interfaces": ["eth0"]},
    "home": {"interfaces": ["eth1", "ppp+"], "sources": ["192.0.2.0/24"]},
    "office": {"sources": ["198.51.100.0/24"]},
}


@pytest.mark.parametrize(
    ("outward", "zones"),
    [
        ({"eth0"}, ("external",)),
        ({"eth0", "eth1"}, ("external", "home")),
        ({"ppp0"}, ("home",)),
        ({"eth5"}, ("public",)),
        ({"eth0", "eth5"}, ("external", "public")),
        (set(), ("public",)),
    ],
)
def test_finds_the_zones_that_face_outward(outward: set[str], zones: tuple[str, ...]) -> None:
    """Each outward interface counts with its zone, and without one with the default zone."""
    assert choose_zones("", "public", ACTIVE, outward) == zones


@pytest.mark.parametrize("zone", ["external", "home", "office"])
def test_takes_the_zone_that_is_configured(zone: str) -> None:
    """A zone that is named is taken if it handles any traffic."""
    assert choose_zones(zone, "public", ACTIVE, {"eth0"}) == (zone,)


def test_the_default_zone_handles_interfaces_without_a_zone() -> None:
    """The default zone is active without being listed, as long as an outward interface is free."""
    assert choose_zones("public", "public", ACTIVE, {"eth5"}) == ("public",)


@pytest.mark.parametrize("zone", ["public", "block", "typo"])
def test_a_zone_without_traffic_is_an_error(zone: str) -> None:
    """A rule in a zone that sees no packets would be a ban in name only, so people are told."""
    with pytest.raises(FirewallDown, match=rf"zone {zone} is not active: .* to external,"):
        choose_zones(zone, "public", ACTIVE, {"eth0"})

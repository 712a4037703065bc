"""Finds the firewalld zones that face outward.

firewalld accepts a rule in a zone that handles no traffic, and the rule does nothing. So the zone
is never guessed: it is that of the interfaces with a default route.

Known limits: only the main routing table is read, and a zone bound to source addresses is not
considered: packets from its sources never reach the zone of their interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mailbanned.firewall.base import FirewallDown

#: What getActiveZones returns: zone -> {"interfaces": [...], "sources": [...]}.
ActiveZones = Mapping[str, Mapping[str, list[str]]]

_ROUTE_UP = 0x1
_ROUTE_REJECT = 0x200


def outward_interfaces(proc: Path = Path("/proc/net")) -> set[str]:
    """Returns the interfaces with a default route, IPv4 or IPv6, in the namespace of `proc`."""
    interfaces = set()
    for line in _lines(proc / "route")[1:]:
        name, target, _, flags, _, _, _, mask, *_ = line.split()
        if target == mask == "00000000" and _is_usable(flags):
            interfaces.add(name)
    for line in _lines(proc / "ipv6_route"):
        target, length, *_, flags, name = line.split()
        if target == "0" * 32 and length == "00" and _is_usable(flags):
            interfaces.add(name)
    return interfaces


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii", "replace").splitlines()
    except OSError:  # a kernel without IPv6, or no /proc
        return []


def _is_usable(flags: str) -> bool:
    return int(flags, 16) & (_ROUTE_UP | _ROUTE_REJECT) == _ROUTE_UP


def choose_zones(
    wanted: str, default: str, active: ActiveZones, outward: Iterable[str]
) -> tuple[str, ...]:
    """Returns the zones that must hold our rules: `wanted` if given, else those facing outward.

    default: firewalld's default zone, which handles every interface that no zone names.
    Raises FirewallDown if the wanted zone handles no traffic.
    """
    outward_zones = {_zone_of(interface, active) or default for interface in outward} or {default}
    if not wanted:
        return tuple(sorted(outward_zones))
    if wanted in active or wanted in outward_zones:
        return (wanted,)
    facing = ", ".join(sorted(outward_zones))
    raise FirewallDown(
        f"zone {wanted} is not active: a rule there does nothing; "
        f"set zone in [firewall] to {facing}, or to nothing to have it found"
    )


def _zone_of(interface: str, active: ActiveZones) -> str | None:
    """Returns the zone that names the interface, itself or by a pattern such as "ppp+"."""
    for zone, bound in active.items():
        if interface in bound.get("interfaces", ()):
            return zone
    for zone, bound in active.items():
        for name in bound.get("interfaces", ()):
            if name.endswith(("+", "*")) and interface.startswith(name[:-1]):
                return zone
    return None

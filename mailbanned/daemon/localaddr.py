"""This host's own addresses, read from /proc: no failure of theirs may lead to a ban.

Known limit: only the addresses of this network namespace, which is where bans are in force too.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

from mailbanned.address import Network


def own_addresses(proc: Path = Path("/proc/net")) -> tuple[Network, ...]:
    """Every address of every interface as a network of one; empty where /proc has no answer."""
    found = [*_ipv4(_lines(proc / "fib_trie")), *_ipv6(_lines(proc / "if_inet6"))]
    return tuple(sorted(dict.fromkeys(found), key=lambda n: (n.version, n)))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _ipv4(lines: list[str]) -> list[Network]:
    """In the routing trie an address of ours is a leaf whose next line says `/32 host LOCAL`."""
    found: list[Network] = []
    leaf = ""
    for line in lines:
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"]:
            found.append(ip_network(IPv4Address(leaf)))
    return found


def _ipv6(lines: list[str]) -> list[Network]:
    return [ip_network(IPv6Address(int(line.split()[0], 16))) for line in lines if line]

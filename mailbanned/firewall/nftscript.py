"""Our table in nftables as text: scripts that change it, and what its listing says. No I/O.

    table inet mailbanned { set ipv4_32 {...}  chain ipv4_32 {...}  set ipv6_64 {...}  ... }

Each length of prefix that is banned has a hash set of network addresses, and a chain that looks up
the sender's address, cut to that length. So bans may overlap as they like, each keeps its own end,
and putting one takes the same time however many there are; an interval set can do none of these.

The chains come before connection tracking (and after defragmentation): established connections
end, and ports of containers are closed, too, because their addresses are not yet rewritten.

Known limit: each length in use, and seldom is there a third one, costs every packet a look-up.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, NamedTuple

from mailbanned.address import Subject
from mailbanned.firewall.base import FirewallDown
from mailbanned.firewall.richrules import Verdict, bannable

FAMILY, NAME = "inet", "mailbanned"

_PRIORITY = -310  # raw - 10: after defragmentation (-400), before connection tracking (-200)
_HOOK = {"type": "filter", "hook": "prerouting", "prio": _PRIORITY, "policy": "accept"}
_VERDICTS: Mapping[Verdict, tuple[str, ...]] = {
    "drop": ("drop",),
    # Of a TCP connection, only a reset is understood as its end; the rest hears "unreachable".
    "reject": ("meta l4proto tcp reject with tcp reset", "reject"),
}


class Place(NamedTuple):
    """The set and the chain for one length of prefix."""

    version: int
    length: int

    @property
    def name(self) -> str:
        """How both are called in the table."""
        return f"ipv{self.version}_{self.length}"


#: Where nearly all bans are.
COMMON = (Place(4, 32), Place(6, 64))
_BY_NAME = {
    place.name: place
    for version, longest in ((4, 32), (6, 128))
    for place in (Place(version, length) for length in range(longest + 1))
}


class Change(NamedTuple):
    """One ban to be put or taken.

    address: of the network, in canonical text.
    seconds: until the kernel forgets it by itself; None is never.
    put, take: both together put a ban in the place of an older one, without a gap.
    """

    place: Place
    address: str
    seconds: int | None = None
    put: bool = False
    take: bool = False


def located(subject: Subject) -> tuple[Place, str]:
    """The place and the network address of a subject. Raises FirewallRefused as `bannable`."""
    network = bannable(subject)
    # bannable has seen that the text is what ipaddress writes, so nothing else can stand in it.
    return Place(network.version, network.prefixlen), subject.partition("/")[0]


def layout(places: Iterable[Place], verdict: Verdict) -> str:
    """The script that makes these places as they should be, and keeps the bans in them."""
    lines = [f"add table {FAMILY} {NAME}"]
    for place in sorted(places):
        here = f"{FAMILY} {NAME} {place.name}"
        hook = f"type filter hook prerouting priority {_PRIORITY}; policy accept;"
        lines += [
            f"add set {here} {{ type ipv{place.version}_addr; flags timeout; }}",
            f"add chain {here} {{ {hook} }}",
            f"flush chain {here}",
        ]
        for rule, comment in zip(_rules(place, verdict), _comments(place, verdict), strict=True):
            lines.append(f'add rule {here} {rule} comment "{comment}"')
    return "\n".join(lines) + "\n"


def changes(batch: Iterable[Change]) -> str:
    """The script that puts and takes bans in places that are laid out."""
    taken: dict[Place, list[str]] = defaultdict(list)
    put: dict[Place, list[str]] = defaultdict(list)
    for change in batch:
        timeout = "" if change.seconds is None else f" timeout {change.seconds}s"
        if change.take:
            taken[change.place].append(change.address)
        if change.put:
            put[change.place].append(change.address + timeout)
    lines = []
    for place, addresses in taken.items():
        # Deleting what is not there would fail, so it is there first.
        lines += [_elements("add", place, addresses), _elements("delete", place, addresses)]
    lines += [_elements("add", place, addresses) for place, addresses in put.items()]
    return "".join(lines)


@dataclass(slots=True)
class Found:
    """What a listing of the table says.

    bans: those in it; ending: those of them that the kernel forgets soon.
    places: those that have a set; sound: those of them whose chain is as it should be.
    """

    bans: set[Subject] = field(default_factory=set)
    ending: set[Subject] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)
    sound: set[Place] = field(default_factory=set)


def read(listing: bytes, verdict: Verdict, soon: float) -> Found:
    """Reads what `nft -j list table` prints. Takes a while if there are thousands of bans.

    soon: so many seconds. Raises FirewallDown if the listing cannot be understood.
    """
    found = Found()
    hooked: set[str] = set()
    rules: dict[str, list[str]] = defaultdict(list)
    try:
        # The hook is Python, so other threads get their turns; without it json gives them none.
        for item in json.loads(listing, object_hook=_compact)["nftables"]:
            if (given := item.get("set")) and (place := _BY_NAME.get(given["name"])):
                found.places.add(place)
                _take_in(found, place, given.get("elem", ()), soon)
            elif (given := item.get("chain")) and _HOOK.items() <= given.items():
                hooked.add(given["name"])
            elif given := item.get("rule"):
                rules[given["chain"]].append(given.get("comment", ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FirewallDown(f"nft printed what is no listing of a table: {error!r}") from error
    for place in found.places:
        if place.name in hooked and rules[place.name] == _comments(place, verdict):
            found.sound.add(place)
    return found


def _take_in(found: Found, place: Place, elements: Iterable[Any], soon: float) -> None:
    for element in elements:
        address, seconds = element if isinstance(element, tuple) else (element, None)
        if ":" in address and "." in address:
            address = str(ip_address(address))  # "::192.0.2.1", as ipaddress does not write it
        subject = Subject(f"{address}/{place.length}")
        found.bans.add(subject)
        if seconds is not None and seconds < soon:
            found.ending.add(subject)


def _rules(place: Place, verdict: Verdict) -> list[str]:
    protocol, longest = ("ip", 32) if place.version == 4 else ("ip6", 128)
    sender = f"{protocol} saddr"
    if place.length < longest:
        network = IPv4Network if place.version == 4 else IPv6Network
        sender += f" & {network((0, place.length)).netmask}"
    looked_up = f"{sender} @{place.name}"
    return ["iif lo accept", *(f"{looked_up} {words}" for words in _VERDICTS[verdict])]


def _comments(place: Place, verdict: Verdict) -> list[str]:
    """By these we know our rules again; nft writes the rules themselves as it likes."""
    return ["lo", *(f"{place.name} {words}" for words in _VERDICTS[verdict])]


def _elements(verb: str, place: Place, elements: Iterable[str]) -> str:
    return f"{verb} element {FAMILY} {NAME} {place.name} {{ {', '.join(elements)} }}\n"


def _compact(value: dict[str, Any]) -> Any:
    """{"elem": {"val": address, "expires": seconds, ...}} as (address, seconds)."""
    if "val" in value:
        return value["val"], value.get("expires")
    return value["elem"] if len(value) == 1 and "elem" in value else value

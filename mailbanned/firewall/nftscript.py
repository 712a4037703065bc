"""Our table in nftables as text: scripts that change it, and what its listing says. No I/O.

    table inet mailbanned { set ipv4_32 {...}  chain ipv4_32 {...}  set ipv6_64 {...}  ... }

Each prefix length that is banned has a hash set of network addresses, and a chain that looks up the
sender's address, masked to that length. So bans may overlap, each has its own end, and adding one
takes the same time however many there are; an interval set can do none of these.

The chains run before connection tracking (and after defragmentation): they end established
connections and close the ports of containers, too, because addresses are not yet rewritten.

Known limits: each prefix length in use costs every packet a look-up; a third one is rare.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, NamedTuple

from mailbanned.address import Subject
from mailbanned.firewall.base import FirewallDown, network_to_ban
from mailbanned.firewall.richrules import Verdict

FAMILY, NAME = "inet", "mailbanned"

_PRIORITY = -310  # raw - 10: after defragmentation (-400), before connection tracking (-200)
_HOOK = {"type": "filter", "hook": "prerouting", "prio": _PRIORITY, "policy": "accept"}
_VERDICTS: Mapping[Verdict, tuple[str, ...]] = {
    "drop": ("drop",),
    # Only a reset ends a TCP connection at once; other protocols get "unreachable".
    "reject": ("meta l4proto tcp reject with tcp reset", "reject"),
}


class PrefixSet(NamedTuple):
    """The set, and the chain of the same name, for one prefix length."""

    version: int
    length: int

    @property
    def name(self) -> str:
        """The name of both in the table."""
        return f"ipv{self.version}_{self.length}"


#: Those that hold nearly all bans.
COMMON = (PrefixSet(4, 32), PrefixSet(6, 64))
_BY_NAME = {
    prefix_set.name: prefix_set
    for version, longest in ((4, 32), (6, 128))
    for prefix_set in (PrefixSet(version, length) for length in range(longest + 1))
}


class Change(NamedTuple):
    """One ban to add or delete.

    address: of the network, in canonical text.
    seconds: until the kernel forgets the ban by itself; None is never.
    add, delete: both together replace a ban by one with another end, without a gap.
    """

    prefix_set: PrefixSet
    address: str
    seconds: int | None = None
    add: bool = False
    delete: bool = False


def set_for(subject: Subject) -> tuple[PrefixSet, str]:
    """Returns the set and the network address of a subject. Raises FirewallRefused."""
    network = network_to_ban(subject)
    # The text is what ipaddress writes, checked above, so it holds nothing that nft could misread.
    return PrefixSet(network.version, network.prefixlen), subject.partition("/")[0]


def create_sets(sets: Iterable[PrefixSet], verdict: Verdict) -> str:
    """Returns the script that creates or repairs these sets, and keeps the bans in them."""
    lines = [f"add table {FAMILY} {NAME}"]
    for prefix_set in sorted(sets):
        here = f"{FAMILY} {NAME} {prefix_set.name}"
        hook = f"type filter hook prerouting priority {_PRIORITY}; policy accept;"
        lines += [
            f"add set {here} {{ type ipv{prefix_set.version}_addr; flags timeout; }}",
            f"add chain {here} {{ {hook} }}",
            f"flush chain {here}",
        ]
        for rule, comment in zip(
            _rules(prefix_set, verdict), _comments(prefix_set, verdict), strict=True
        ):
            lines.append(f'add rule {here} {rule} comment "{comment}"')
    return "\n".join(lines) + "\n"


def update_elements(batch: Iterable[Change]) -> str:
    """Returns the script that adds and deletes bans in sets that exist."""
    deleted: dict[PrefixSet, list[str]] = defaultdict(list)
    added: dict[PrefixSet, list[str]] = defaultdict(list)
    for change in batch:
        timeout = "" if change.seconds is None else f" timeout {change.seconds}s"
        if change.delete:
            deleted[change.prefix_set].append(change.address)
        if change.add:
            added[change.prefix_set].append(change.address + timeout)
    lines = []
    for prefix_set, addresses in deleted.items():
        # Deleting a ban that is not there fails, so it is added first.
        lines += [
            _elements("add", prefix_set, addresses),
            _elements("delete", prefix_set, addresses),
        ]
    lines += [_elements("add", prefix_set, addresses) for prefix_set, addresses in added.items()]
    return "".join(lines)


@dataclass(slots=True)
class TableState:
    """What a listing of the table says.

    bans: those in it. expiring: those of them that the kernel forgets soon.
    sets: those that exist. intact: those of them whose chain is as it should be.
    """

    bans: set[Subject] = field(default_factory=set)
    expiring: set[Subject] = field(default_factory=set)
    sets: set[PrefixSet] = field(default_factory=set)
    intact: set[PrefixSet] = field(default_factory=set)


def parse_listing(listing: bytes, verdict: Verdict, soon: float) -> TableState:
    """Parses what `nft -j list table` prints. Takes a while if there are thousands of bans.

    soon: a ban that ends in fewer seconds is expiring.
    Raises FirewallDown if the listing cannot be understood.
    """
    state = TableState()
    hooked: set[str] = set()
    rules: dict[str, list[str]] = defaultdict(list)
    try:
        # The hook runs Python code, so other threads get their turns; json alone gives them none.
        for item in json.loads(listing, object_hook=_compact)["nftables"]:
            if (given := item.get("set")) and (prefix_set := _BY_NAME.get(given["name"])):
                state.sets.add(prefix_set)
                _read_elements(state, prefix_set, given.get("elem", ()), soon)
            elif (given := item.get("chain")) and _HOOK.items() <= given.items():
                hooked.add(given["name"])
            elif given := item.get("rule"):
                rules[given["chain"]].append(given.get("comment", ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FirewallDown(f"cannot parse the listing of nft: {error!r}") from error
    for prefix_set in state.sets:
        if prefix_set.name in hooked and rules[prefix_set.name] == _comments(prefix_set, verdict):
            state.intact.add(prefix_set)
    return state


def _read_elements(
    state: TableState, prefix_set: PrefixSet, elements: Iterable[Any], soon: float
) -> None:
    for element in elements:
        address, seconds = element if isinstance(element, tuple) else (element, None)
        if ":" in address and "." in address:
            address = str(ip_address(address))  # "::192.0.2.1", as ipaddress does not write it
        subject = Subject(f"{address}/{prefix_set.length}")
        state.bans.add(subject)
        if seconds is not None and seconds < soon:
            state.expiring.add(subject)


def _rules(prefix_set: PrefixSet, verdict: Verdict) -> list[str]:
    protocol, longest = ("ip", 32) if prefix_set.version == 4 else ("ip6", 128)
    sender = f"{protocol} saddr"
    if prefix_set.length < longest:
        network = IPv4Network if prefix_set.version == 4 else IPv6Network
        sender += f" & {network((0, prefix_set.length)).netmask}"
    match = f"{sender} @{prefix_set.name}"
    return ["iif lo accept", *(f"{match} {statement}" for statement in _VERDICTS[verdict])]


def _comments(prefix_set: PrefixSet, verdict: Verdict) -> list[str]:
    """Returns the comments that identify our rules; nft prints rules in a form of its own."""
    return ["lo", *(f"{prefix_set.name} {statement}" for statement in _VERDICTS[verdict])]


def _elements(verb: str, prefix_set: PrefixSet, elements: Iterable[str]) -> str:
    return f"{verb} element {FAMILY} {NAME} {prefix_set.name} {{ {', '.join(elements)} }}\n"


def _compact(value: dict[str, Any]) -> Any:
    """{"elem": {"val": address, "expires": seconds, ...}} as (address, seconds)."""
    if "val" in value:
        return value["val"], value.get("expires")
    return value["elem"] if len(value) == 1 and "elem" in value else value

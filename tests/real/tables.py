"""The nftables backend on the lab's host, and what the kernel has in its table."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from mailbanned.firewall import Enforcer, Nftables, Verdict
from tests.real.enforcing import NEVER_S, at_work, settles
from tests.real.lab import Lab
from tests.waiting import HANG_S

TABLE = ("inet", "mailbanned")
#: Seconds that nft leaves out when it says how long an element has left, and that we round up.
_ROUNDED_S = 1.0


def backend(
    lab: Lab, verdict: Verdict = "drop", slack: float = 300.0, before: Sequence[str] = ()
) -> Nftables:
    """The backend of a daemon on the lab's host. before: words before the program."""
    command = (*before, "ip", "netns", "exec", lab.host.name, "nft")
    return Nftables(verdict, command=command, timeout=HANG_S, slack=slack)


def nft(lab: Lab, *words: str) -> str:
    """What `nft` on the lab's host says."""
    return lab.host.exec("nft", *words)


def held(lab: Lab) -> set[str]:
    """The networks in our table that the kernel looks up, with their prefix."""
    return {subject for subject, _ in _elements(lab)}


def ends(lab: Lab) -> dict[str, float | None]:
    """When the kernel will forget each of them, too late by what the listing takes; None: never."""
    found = dict(_elements(lab))
    now = time.time()
    return {
        subject: None if seconds is None else now + seconds + _ROUNDED_S
        for subject, seconds in found.items()
    }


def _elements(lab: Lab) -> Iterator[tuple[str, int | None]]:
    """The subjects, and the whole seconds that each has left."""
    listing = lab.host.exec("nft", "-j", "list", "table", *TABLE, check=False)
    items = json.loads(listing or '{"nftables": []}')["nftables"]
    asked = {item["rule"]["chain"] for item in items if "@" in json.dumps(item.get("rule"))}
    for item in items:
        if item.get("set", {}).get("name") in asked:
            bits = item["set"]["name"].partition("_")[2]
            for element in item["set"].get("elem", ()):
                timed = element["elem"] if isinstance(element, dict) else {"val": element}
                yield f"{timed['val']}/{bits}", timed.get("expires")


def remove_table(lab: Lab) -> None:
    """Takes our table away, if it is there."""
    lab.host.exec("nft", "delete", "table", *TABLE, check=False)


@asynccontextmanager
async def connected(lab: Lab, verdict: Verdict = "drop") -> AsyncIterator[Nftables]:
    """The backend, connected until the end of the block; nothing of its table is left."""
    firewall = backend(lab, verdict)
    await firewall.connect()
    try:
        yield firewall
    finally:
        await firewall.close()
        remove_table(lab)


@asynccontextmanager
async def enforced(
    lab: Lab, *subjects: str, audit: float = NEVER_S, slack: float = 300.0
) -> AsyncIterator[Enforcer]:
    """An enforcer at work until the end of the block, with these bans restored."""
    async with at_work(backend(lab, slack=slack), subjects, audit) as enforcer:
        yield enforcer


async def holds(lab: Lab, *subjects: str) -> None:
    """Waits until the kernel holds exactly these."""
    await settles(lambda: held(lab) == set(subjects), f"{len(subjects)} in the kernel")


async def says(enforcer: Enforcer, in_force: int, pending: int = 0) -> None:
    """Waits until the enforcer is up and says so many."""

    def agrees() -> bool:
        state = enforcer.state()
        return (state.state, state.bans_in_force, state.pending) == ("up", in_force, pending)

    await settles(agrees, f"{in_force} in force, {pending} pending")


#: What others may do to our table without telling.
MISHAPS = (
    ("flush", "ruleset"),
    ("delete", "table", *TABLE),
    ("flush", "table", *TABLE),
    ("flush", "set", *TABLE, "ipv4_32"),
    ("flush", "chain", *TABLE, "ipv6_64"),
    ("delete", "chain", *TABLE, "ipv6_64"),
)

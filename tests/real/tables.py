"""The nftables backend on the lab's host, and what the kernel has in its table."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mailbanned.firewall import Enforcer, Nftables, Verdict
from tests.real.enforcing import at_work, settles
from tests.real.lab import Lab

TABLE = ("inet", "mailbanned")


def backend(lab: Lab, verdict: Verdict = "drop", slack: float = 300.0) -> Nftables:
    """The backend of a daemon on the lab's host."""
    command = ("ip", "netns", "exec", lab.host.name, "nft")
    return Nftables(verdict, command=command, timeout=10.0, slack=slack)


def nft(lab: Lab, *words: str) -> str:
    """What `nft` on the lab's host says."""
    return lab.host.exec("nft", *words)


def held(lab: Lab) -> set[str]:
    """The networks in our table that the kernel looks up, with their prefix."""
    listing = lab.host.exec("nft", "-j", "list", "table", *TABLE, check=False)
    items = json.loads(listing or '{"nftables": []}')["nftables"]
    asked = {item["rule"]["chain"] for item in items if "@" in json.dumps(item.get("rule"))}
    return {
        f"{_address(element)}/{item['set']['name'].partition('_')[2]}"
        for item in items
        if item.get("set", {}).get("name") in asked
        for element in item["set"].get("elem", ())
    }


def _address(element: Any) -> str:
    return str(element if isinstance(element, str) else element["elem"]["val"])


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
    lab: Lab, *subjects: str, audit: float = 30.0, slack: float = 300.0
) -> AsyncIterator[Enforcer]:
    """An enforcer at work until the end of the block, with these bans restored."""
    async with at_work(backend(lab, slack=slack), subjects, audit) as enforcer:
        yield enforcer


async def holds(lab: Lab, *subjects: str, seconds: float = 15.0) -> None:
    """Waits until the kernel holds exactly these."""
    await settles(lambda: held(lab) == set(subjects), f"{len(subjects)} in the kernel", seconds)


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

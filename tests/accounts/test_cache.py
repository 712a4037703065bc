"""CachedAccounts while the database works: clean names, remembered answers, shared queries."""

from __future__ import annotations

import asyncio

import pytest

from mailbanned.accounts import Accounts, AccountsState, CachedAccounts, NoAccounts
from tests.accounts.scripted import ManualClock, ScriptedLookup, release
from tests.waiting import HANG_S

LOST = [
    "",
    "  ",
    "a\0b",
    "a\x1bb",
    "a\x85b",
    "a\u2028b",
    "a\u200bb",
    "\udcff",
    "caf\ufffd",
    "caf??",
]
LOST += ["(unavailable)", "(UNAVAILABLE)", "a" * 321, "\u00e9" * 161, "x" * 8192]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lookup() -> ScriptedLookup:
    return ScriptedLookup("alice@example.org", "bob")


@pytest.fixture
def accounts(lookup: ScriptedLookup, clock: ManualClock) -> CachedAccounts:
    return CachedAccounts(lookup, clock, timeout=HANG_S)


async def test_answers_and_state(accounts: CachedAccounts) -> None:
    """An account exists or not as the database says, and the state counts the queries."""
    assert accounts.state() == AccountsState("scripted", "idle")
    assert await accounts.exists("alice@example.org") is True
    assert await accounts.exists("mallory") is False
    assert accounts.state() == AccountsState("scripted", "up", lookups=2, cached=2)


async def test_names_are_cleaned(accounts: CachedAccounts, lookup: ScriptedLookup) -> None:
    """Capitals and surrounding space make no other account."""
    for name in ("Alice@Example.ORG", " alice@example.org ", "alice@example.org\r"):
        assert await accounts.exists(name) is True
    assert lookup.asked == ["alice@example.org"]


@pytest.mark.parametrize("name", LOST)
async def test_lost_names(accounts: CachedAccounts, lookup: ScriptedLookup, name: str) -> None:
    """A name that is not what the client sent, or that no account has, is never asked for."""
    assert await accounts.exists(name) is None
    assert lookup.asked == []


@pytest.mark.parametrize("name", ["a" * 320, "\u00e9" * 160, "a b", "x@y@z", "'\"\\%_;--"])
async def test_odd_names(accounts: CachedAccounts, lookup: ScriptedLookup, name: str) -> None:
    """A name that is only long or strange is asked for as it is."""
    await accounts.exists(name)
    assert lookup.asked == [name]


@pytest.mark.parametrize(("name", "lifetime"), [("bob", 300.0), ("mallory", 30.0)])
async def test_remembered(
    accounts: CachedAccounts, lookup: ScriptedLookup, clock: ManualClock, name: str, lifetime: float
) -> None:
    """Yes is remembered for minutes and no for half a minute, and no longer."""
    expected = await accounts.exists(name)
    clock.time += lifetime - 0.5
    assert await accounts.exists(name) is expected
    assert lookup.asked == [name]
    clock.time += 0.5
    assert await accounts.exists(name) is expected
    assert lookup.asked == [name, name]


async def test_size(lookup: ScriptedLookup, clock: ManualClock) -> None:
    """Only so many names are remembered, and the one unused for longest is forgotten first."""
    accounts = CachedAccounts(lookup, clock, timeout=HANG_S, size=2)
    for name in ("a", "b", "a", "c", "a"):
        await accounts.exists(name)
    assert lookup.asked == ["a", "b", "c"]
    assert accounts.state().cached == 2
    await accounts.exists("b")
    assert lookup.asked == ["a", "b", "c", "b"]


async def test_untold_name(accounts: CachedAccounts) -> None:
    """A name that the database cannot compare is neither trouble nor an answer to remember."""
    assert await accounts.exists("caf\u00e9") is None
    assert await accounts.exists("caf\u00e9") is None
    assert accounts.state() == AccountsState("scripted", "up", lookups=2)


async def test_one_query_per_name(accounts: CachedAccounts, lookup: ScriptedLookup) -> None:
    """However many wait for the same name, the database is asked once, and all get the answer."""
    assert await asyncio.gather(*(accounts.exists("bob") for _ in range(50))) == [True] * 50
    assert lookup.asked == ["bob"]


async def test_cancelled_waiter(accounts: CachedAccounts, lookup: ScriptedLookup) -> None:
    """Who gives up waiting does not take the answer from the others."""
    lookup.hold = True
    first, second = (asyncio.create_task(accounts.exists("bob")) for _ in range(2))
    gates = await lookup.next_held(1)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    release(gates)
    assert await second is True
    assert lookup.asked == ["bob"]


async def test_few_at_a_time(accounts: CachedAccounts, lookup: ScriptedLookup) -> None:
    """A burst of names does not become a burst of connections: four are asked for at a time."""
    lookup.hold = True
    waiters = [asyncio.create_task(accounts.exists(f"user{n}")) for n in range(12)]
    for _ in range(3):
        gates = await lookup.next_held(4)
        assert lookup.running == 4
        assert lookup.held.empty()
        release(gates)
    assert await asyncio.gather(*waiters) == [False] * 12


async def test_no_accounts() -> None:
    """Without a database nobody can ever tell."""
    accounts: Accounts = NoAccounts()
    assert await accounts.exists("bob") is None
    assert accounts.state() == AccountsState("none", "none")
    await accounts.close()

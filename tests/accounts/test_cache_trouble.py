"""CachedAccounts while the database fails: "cannot tell", soon, and without hammering it."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from mailbanned.accounts import AccountsState, CachedAccounts
from tests.accounts.scripted import ManualClock, ScriptedLookup, release

pytestmark = pytest.mark.usefixtures("skipping")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lookup() -> ScriptedLookup:
    return ScriptedLookup("bob")


@pytest.fixture
def accounts(lookup: ScriptedLookup, clock: ManualClock) -> CachedAccounts:
    return CachedAccounts(lookup, clock, timeout=0.4)


async def test_error(accounts: CachedAccounts, lookup: ScriptedLookup, clock: ManualClock) -> None:
    """Trouble means "cannot tell", stands in the state, and is not taken for an answer later."""
    lookup.trouble = "gone fishing"
    assert await accounts.exists("mallory") is None
    assert accounts.state() == AccountsState("scripted", "down", 1, 1, 0, "gone fishing")
    lookup.trouble = None
    clock.time += 1
    assert await accounts.exists("mallory") is False
    assert accounts.state() == AccountsState("scripted", "up", 2, 1, 1, "gone fishing")


async def test_timeout(accounts: CachedAccounts, lookup: ScriptedLookup) -> None:
    """A query without an answer is ended after the timeout, and counts as trouble."""
    lookup.hold = True
    began = asyncio.get_running_loop().time()
    assert await accounts.exists("bob") is None
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.4)
    assert lookup.running == 0
    assert accounts.state() == AccountsState("scripted", "down", 1, 1, 0, "no answer within 0.4 s")


async def test_rest(accounts: CachedAccounts, lookup: ScriptedLookup, clock: ManualClock) -> None:
    """A dead database is asked once a second and no more, but what is remembered stays known."""
    assert await accounts.exists("bob") is True
    lookup.trouble = "gone"
    await accounts.exists("first")
    names = [f"user{n}" for n in range(9)]
    for _ in range(3):
        asked = len(lookup.asked)
        clock.time += 0.75
        assert await asyncio.gather(*map(accounts.exists, names)) == [None] * 9
        assert len(lookup.asked) == asked
        clock.time += 0.25
        assert await asyncio.gather(*map(accounts.exists, names)) == [None] * 9
        assert len(lookup.asked) == asked + 1
    assert await accounts.exists("bob") is True


async def test_one_probe(
    accounts: CachedAccounts, lookup: ScriptedLookup, clock: ManualClock
) -> None:
    """While one query finds out whether the database is back, nobody else waits for it."""
    lookup.trouble = "gone"
    await accounts.exists("first")
    clock.time += 1
    lookup.hold, lookup.trouble = True, None
    probe = asyncio.create_task(accounts.exists("bob"))
    gates = await lookup.next_held(1)
    assert await accounts.exists("mallory") is None
    release(gates)
    assert await probe is True
    assert lookup.asked == ["first", "bob"]


async def test_busy(accounts: CachedAccounts, lookup: ScriptedLookup) -> None:
    """Who waits too long for a free slot is told nothing, and the database is not blamed for it."""
    lookup.hold = True
    early = [asyncio.create_task(accounts.exists(f"early{n}")) for n in range(4)]
    late = [asyncio.create_task(accounts.exists(f"late{n}")) for n in range(5)]
    gates = await lookup.next_held(4)
    await asyncio.sleep(0.2)  # so that the late queries outlast the wait of the fifth
    release(gates)
    gates = await lookup.next_held(4)
    assert await late[4] is None
    release(gates)
    assert await asyncio.gather(*early, *late[:4]) == [False] * 8
    assert accounts.state() == AccountsState("scripted", "up", lookups=8, cached=8)


async def test_log(accounts: CachedAccounts, lookup: ScriptedLookup, clock: ManualClock) -> None:
    """An outage is logged when it begins, with its reason and effect, and when it ends: once."""
    with capture_logs() as logs:
        for lookup.trouble in ("gone", "gone", "still gone", None, None):
            await accounts.exists(f"user{len(lookup.asked)}")
            clock.time += 1
    assert len(lookup.asked) == 5
    began, ended = logs
    assert (began["log_level"], began["error"]) == ("warning", "gone")
    assert "cannot ask the account database: strict jails stay quiet" in began["event"]
    assert "answers again" in ended["event"]


async def test_close(lookup: ScriptedLookup, clock: ManualClock) -> None:
    """Closing ends running queries at once with "cannot tell", and gives the connections back."""
    accounts = CachedAccounts(lookup, clock, timeout=60)
    lookup.hold = True
    waiter = asyncio.create_task(accounts.exists("bob"))
    await lookup.next_held(1)
    async with asyncio.timeout(1):
        await accounts.close()
    assert await waiter is None
    assert (lookup.running, lookup.closed) == (0, True)

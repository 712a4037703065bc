"""Nftables over a scripted `nft`: what goes into one transaction, and what each error means.

What a real kernel does is tested in tests/real.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailbanned.address import Subject
from mailbanned.firewall import BACKENDS, FirewallDown, FirewallRefused, Listed, Nftables
from tests.firewall.fakenft import GONE, NOT_PERMITTED, FakeNft
from tests.firewall.support import ManualClock, subjects
from tests.waiting import HANG_S, skipped_time, started_in_time, until

HOST = Subject("192.0.2.7/32")
OTHER = Subject("192.0.2.8/32")
PREFIX = Subject("2001:db8:0:7::/64")
RARE = Subject("192.0.2.0/26")
NOTHING = '{"nftables": []}'


@pytest.fixture
def nft(tmp_path: Path) -> FakeNft:
    return FakeNft(tmp_path)


@pytest.fixture
async def firewall(nft: FakeNft) -> Nftables:
    """A backend that has just connected, at second 1000."""
    firewall = Nftables(command=(str(nft.path),), timeout=HANG_S, clock=ManualClock())
    await firewall.connect()
    nft.forget()
    return firewall


async def test_is_made_from_the_configuration() -> None:
    """It is called nftables there, and has no zones."""
    firewall = BACKENDS["nftables"]("", "reject")
    assert (firewall.name, firewall.zone) == ("nftables", "")


async def test_changes_that_come_together_are_one_transaction(
    nft: FakeNft, firewall: Nftables
) -> None:
    """Bans and removals of one moment are one run of nft; each set has its line."""
    await asyncio.gather(
        firewall.add(HOST), firewall.add(OTHER, 1060.0), firewall.add(PREFIX), firewall.remove(RARE)
    )
    [script] = nft.scripts()
    lines = script.splitlines()
    assert lines[-4:] == [
        "add element inet mailbanned ipv4_26 { 192.0.2.0 }",
        "delete element inet mailbanned ipv4_26 { 192.0.2.0 }",
        "add element inet mailbanned ipv4_32 { 192.0.2.7, 192.0.2.8 timeout 360s }",
        "add element inet mailbanned ipv6_64 { 2001:db8:0:7:: }",
    ]
    assert {line.split()[4] for line in lines if line.startswith("add set")} == {"ipv4_26"}


async def test_a_set_is_made_once(nft: FakeNft, firewall: Nftables) -> None:
    """The first ban of a length makes its set and chain, and the next finds them."""
    await firewall.add(RARE)
    await firewall.remove(RARE)
    first, second = nft.scripts()
    assert "add set inet mailbanned ipv4_26" in first
    assert "add set" not in second


async def test_one_transaction_at_a_time(nft: FakeNft, firewall: Nftables) -> None:
    """What comes while nft runs waits for its end, and then goes together."""
    nft.answer(held=True)
    some = subjects(30)
    first = asyncio.create_task(firewall.add(some[0]))
    await until(nft.scripts, "nft runs")
    others = [asyncio.create_task(firewall.add(subject)) for subject in some[1:]]
    await asyncio.sleep(0)
    nft.release()
    await asyncio.gather(first, *others)
    assert len(nft.scripts()) == 2
    assert not nft.overlapped()


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        (NOT_PERMITTED, "give the service the capability CAP_NET_ADMIN"),
        (f"netlink: Error: cache initialization failed: {NOT_PERMITTED}", "CAP_NET_ADMIN"),
        ("/dev/stdin:1:1-3: Error: Could not process rule: Operation not supported\nadd rule x\n",
         "^nft says: Could not process rule: Operation not supported$"),
        ("", "^nft says: exit status 1$"),
        (GONE, "^nft says: No such file or directory$"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_in_one_sentence(
    nft: FakeNft, firewall: Nftables, complaint: str, words: str
) -> None:
    """Whatever nft complains of means "not now", for all that wait; and the next time may do."""
    nft.answer(complaint=complaint, status=1)
    for actions in ([firewall.connect()], [firewall.add(HOST), firewall.remove(OTHER)]):
        problems = await asyncio.gather(*actions, return_exceptions=True)
        for problem in problems:
            assert isinstance(problem, FirewallDown)
            with pytest.raises(FirewallDown, match=words):
                raise problem
    nft.answer()
    await firewall.connect()
    await firewall.add(HOST)


async def test_a_missing_program_is_said_with_its_package(tmp_path: Path) -> None:
    """Without nft people are told which package they need."""
    firewall = Nftables(command=(str(tmp_path / "absent"),))
    with pytest.raises(FirewallDown, match="install the package nftables"):
        await firewall.connect()


async def test_a_hanging_program_is_ended(nft: FakeNft) -> None:
    """A run that takes too long is killed and waited for."""
    nft.answer(held=True)
    for timeout in started_in_time(nft.scripts):
        firewall = Nftables(command=(str(nft.path),), timeout=timeout)
        with pytest.raises(FirewallDown, match=rf"nft did not end in {timeout:g} s"):
            await firewall.add(HOST)
    assert not nft.still_running()


async def test_a_table_that_is_gone_is_made_again(nft: FakeNft, firewall: Nftables) -> None:
    """The ban goes into a new table at once, and the loss of all others is announced."""
    nft.answer(complaint=GONE)
    nft.then()
    await firewall.add(HOST)
    first, second = nft.scripts()
    assert second.endswith(first)
    assert "add set inet mailbanned ipv4_32" in second
    async with asyncio.timeout(HANG_S):
        assert await firewall.wait_until_lost() == "the table of the bans was gone"
    nft.forget()
    await firewall.add(PREFIX)
    assert "add set inet mailbanned ipv6_64" in nft.scripts()[0]


async def test_what_cannot_be_made_is_no_loss(nft: FakeNft, firewall: Nftables) -> None:
    """A kernel that never has what is needed is tried again in growing pauses, not at once."""
    nft.answer(complaint=GONE)
    with pytest.raises(FirewallDown):
        await firewall.add(HOST)
    with skipped_time(), pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await firewall.wait_until_lost()


async def test_nothing_but_networks_reaches_nft(nft: FakeNft, firewall: Nftables) -> None:
    """Text that is no network is refused before it is written anywhere."""
    for text in ("192.0.2.1/32 }\nflush ruleset\n", "192.0.2.1/ 32", "::1%{}/64", "192.0.2.1/+32"):
        for action in (firewall.add(Subject(text)), firewall.remove(Subject(text))):
            with pytest.raises(FirewallRefused):
                await action
    assert nft.scripts() == []


async def test_a_cancelled_wait_ends_no_other_change(nft: FakeNft, firewall: Nftables) -> None:
    """A change that is under way is carried out, for the others that are in it and for itself."""
    nft.answer(held=True)
    leaves = asyncio.create_task(firewall.add(HOST))
    stays = asyncio.create_task(firewall.add(OTHER))
    await until(nft.scripts, "nft runs")
    leaves.cancel()
    nft.release()
    await stays
    assert "192.0.2.7, 192.0.2.8" in nft.scripts()[0]
    last = asyncio.create_task(firewall.add(PREFIX))
    await until(lambda: len(nft.scripts()) == 2, "nft runs again")
    last.cancel()
    await firewall.close()
    assert not nft.still_running()


async def test_lists_nothing_before_a_table_is_there(nft: FakeNft, firewall: Nftables) -> None:
    """A table that was deleted holds no bans; it is made again for those to come."""
    nft.answer(complaint=GONE)
    nft.then()
    assert await firewall.list_bans() == Listed(set())
    assert "add set inet mailbanned ipv4_32" in nft.scripts()[0]


async def test_a_set_that_vanished_is_made_again(nft: FakeNft, firewall: Nftables) -> None:
    """A listing without one of our sets makes the next ban for it lay it out."""
    nft.answer(output=NOTHING)
    assert await firewall.list_bans() == Listed(set())
    await firewall.add(HOST)
    assert "add set inet mailbanned ipv4_32" in nft.scripts()[0]


async def test_rules_that_are_not_ours_are_replaced(nft: FakeNft, firewall: Nftables) -> None:
    """A chain that was changed is repaired, which is logged, and the bans of its set hold."""
    table_set = {"set": {"name": "ipv4_32", "elem": ["192.0.2.7"]}}
    nft.answer(output=json.dumps({"nftables": [table_set]}))
    nft.then()
    with capture_logs() as logs:
        assert await firewall.list_bans() == Listed({HOST})
    [script] = nft.scripts()
    assert "flush chain inet mailbanned ipv4_32" in script
    assert [log["log_level"] for log in logs] == ["warning"]


async def test_a_ban_near_its_end_is_put_in_the_place_of_the_old_one(
    nft: FakeNft, firewall: Nftables
) -> None:
    """Only for such a ban the old element is deleted, in the same transaction."""
    element = {"elem": {"val": "192.0.2.7", "timeout": 400, "expires": 20}}
    nft.answer(output=json.dumps({"nftables": [{"set": {"name": "ipv4_32", "elem": [element]}}]}))
    nft.then()
    assert await firewall.list_bans() == Listed({HOST}, expiring={HOST})
    nft.forget()
    for _ in range(2):
        await firewall.add(HOST, 5000.0)
    put = "add element inet mailbanned ipv4_32 { 192.0.2.7 timeout 4300s }\n"
    first, second = nft.scripts()
    assert "delete element inet mailbanned ipv4_32 { 192.0.2.7 }\n" + put in first
    assert second == put


async def test_a_listing_that_makes_no_sense_is_an_outage(nft: FakeNft, firewall: Nftables) -> None:
    """What nft prints is not trusted to be what we expect."""
    for output in ("", "[]", '{"nftables": [{"set": 3}]}', '{"nftables": 7}', "{}"):
        nft.answer(output=output)
        with pytest.raises(FirewallDown, match="cannot parse the listing"):
            await firewall.list_bans()

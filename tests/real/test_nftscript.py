"""The nftables backend and the real table: ends, spellings, verdicts, rights, many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailbanned.address import Subject
from mailbanned.firewall import FirewallDown, Listed, Nftables
from tests.real.lab import ATTACKERS4, Lab
from tests.real.tables import backend, connected, ends, held, holds, nft, remove_table

pytestmark = pytest.mark.real

HOST = Subject(f"{ATTACKERS4[0]}/32")
NETWORK = Subject("198.51.100.0/27")
PREFIX = Subject("2001:db8:0:2::/64")
PORT = 2602


@pytest.fixture
async def firewall(lab: Lab) -> AsyncIterator[Nftables]:
    async with connected(lab) as firewall:
        yield firewall


async def test_the_kernel_ends_what_nobody_lifts(lab: Lab) -> None:
    """If we are gone each ban ends by itself a little after its time, permanent ones never."""
    firewall = backend(lab, slack=1.0)
    await firewall.connect()
    try:
        over = time.time() + 0.5
        await firewall.add(NETWORK, over + 86400)
        await firewall.add(PREFIX)
        await firewall.add(HOST, over)
        await firewall.close()
        there, looked = held(lab), time.time()
        assert there | {HOST} == {HOST, NETWORK, PREFIX}
        assert HOST in there or looked > over + 1.0
        await holds(lab, NETWORK, PREFIX)
        assert time.time() > over + 0.99  # the kernel counts in ticks of some milliseconds
        with lab.listen(PORT):
            assert lab.drops(ATTACKERS4[0], PORT)
        assert (await firewall.list_bans()).complete == {NETWORK, PREFIX}
    finally:
        remove_table(lab)


async def test_a_ban_that_the_kernel_will_soon_forget_is_prolonged(
    lab: Lab, firewall: Nftables
) -> None:
    """Whoever is banned anew for longer, or for ever, is listed before, and `add` gives it time."""
    now = time.time()
    subjects = {HOST, NETWORK, PREFIX}
    for subject in subjects:
        await firewall.add(subject, now - 200)
    assert await firewall.list_bans() == Listed(subjects, expiring=subjects)
    await firewall.add(HOST, now + 3600)
    await firewall.add(PREFIX, None)
    assert await firewall.list_bans() == Listed(subjects, expiring={NETWORK})
    assert ends(lab)[PREFIX] is None
    end = ends(lab)[HOST]
    assert end is not None
    assert now + 3900 <= end <= time.time() + 3902  # it rounds up, and so do we


async def test_very_long_bans(lab: Lab, firewall: Nftables) -> None:
    """More years than nft can count are a ban all the same."""
    await firewall.add(HOST, time.time() + 1000 * 365 * 86400)
    await firewall.add(NETWORK, time.time() + 99_999_690)
    assert await firewall.list_bans() == Listed({HOST, NETWORK})


@pytest.mark.parametrize("subject", ["::102:304/128", "::c000:0/104", "1:0:2::/64", "1::/64"])
async def test_every_spelling_comes_back(lab: Lab, firewall: Nftables, subject: Subject) -> None:
    """What the kernel prints is read as the subject that was banned, however it is written."""
    await firewall.add(subject)
    assert await firewall.list_bans() == Listed({subject})


async def test_another_verdict_takes_over_the_bans(lab: Lab, firewall: Nftables) -> None:
    """After a change of the verdict all bans are there, under the new one."""
    await firewall.add(HOST)
    await firewall.add(NETWORK)
    after = backend(lab, verdict="reject")
    await after.connect()
    assert await after.list_bans() == Listed({HOST, NETWORK})
    with lab.listen(PORT), pytest.raises(ConnectionRefusedError):
        lab.connect(ATTACKERS4[20], PORT)
    assert " drop" not in nft(lab, "list", "table", "inet", "mailbanned")


async def test_rights_that_are_missing_are_said(lab: Lab) -> None:
    """Without CAP_NET_ADMIN people are told in one sentence what to do."""
    outside = ("ip", "netns", "exec", lab.host.name)
    firewall = Nftables(command=(*outside, "setpriv", "--bounding-set", "-net_admin", "nft"))
    for action in (firewall.connect(), firewall.list_bans(), firewall.add(HOST)):
        with pytest.raises(FirewallDown, match="capability CAP_NET_ADMIN"):
            await action
    assert "mailbanned" not in lab.nft()


async def test_changes_of_one_moment_are_one_transaction(lab: Lab, tmp_path: Path) -> None:
    """A thousand bans that come together are all there after a few runs of the program."""
    runs = tmp_path / "runs"
    note = ("sh", "-c", f'echo >>{runs}; exec "$@"', "sh")
    firewall = backend(lab, before=note)
    many = [Subject(f"203.0.{n // 250}.{n % 250 + 1}/32") for n in range(1000)]
    try:
        await firewall.connect()
        await asyncio.gather(*(firewall.add(subject) for subject in many))
        assert held(lab) == set(many)
    finally:
        await firewall.close()
        remove_table(lab)
    assert len(runs.read_text()) < 10

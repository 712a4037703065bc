"""The contract that every firewall backend keeps. A test class for a backend inherits from it.

The fixture `firewall` gives a connected backend without any bans.
"""

from __future__ import annotations

import asyncio

import pytest

from mailbanned.address import Subject
from mailbanned.firewall import BACKENDS, Firewall, FirewallRefused, Listed
from tests.waiting import skipped_time

HOST = Subject("198.51.100.77/32")
HOST6 = Subject("2001:db8::77/128")
PREFIX6 = Subject("2001:db8:0:7::/64")
NETWORK = Subject("198.51.100.0/26")

UNBANNABLE = (
    *("127.0.0.1/32", "127.0.0.0/8", "0.0.0.0/32", "0.0.0.0/8", "169.254.7.7/32", "224.0.0.1/32"),
    *("::1/128", "::/128", "::/16", "fe80::1/128", "fe80::/64", "ff02::1/128"),
    *("::ffff:192.0.2.1/128", "0.0.0.0/0", "192.0.0.0/7", "::/0", "2000::/15"),
    *("192.0.2.1", "192.0.2.1/24", "192.0.2.300/32", "2001:DB8::1/128", "fe80::1%eth0/128", ""),
    '192.0.2.1/32" accept',
)


class FirewallContract:
    """What holds for every backend."""

    async def test_starts_empty(self, firewall: Firewall) -> None:
        """A firewall without any bans lists none."""
        listed = await firewall.list_bans()
        assert (listed.complete, listed.partial) == (set(), set())

    @pytest.mark.parametrize("subject", [HOST, HOST6, PREFIX6, NETWORK])
    async def test_adds_and_removes(self, firewall: Firewall, subject: Subject) -> None:
        """What was added is listed until it is removed."""
        await firewall.add(subject)
        assert await firewall.list_bans() == Listed({subject}, set())
        await firewall.remove(subject)
        assert await firewall.list_bans() == Listed(set(), set())

    async def test_adding_twice_is_success(self, firewall: Firewall) -> None:
        """A ban that is there already is no error, and one removal lifts it."""
        await firewall.add(HOST)
        await firewall.add(HOST)
        await firewall.remove(HOST)
        assert (await firewall.list_bans()).complete == set()

    async def test_removing_what_is_not_there_is_success(self, firewall: Firewall) -> None:
        """A ban that is gone already is no error."""
        await firewall.remove(HOST)
        await firewall.add(PREFIX6)
        await firewall.remove(HOST)
        assert (await firewall.list_bans()).complete == {PREFIX6}

    async def test_takes_calls_at_the_same_time(self, firewall: Firewall) -> None:
        """Changes and questions may overlap."""
        many = [Subject(f"198.51.100.{n}/32") for n in range(100, 130)]
        await asyncio.gather(*(firewall.add(subject) for subject in many), firewall.list_bans())
        assert (await firewall.list_bans()).complete == set(many)
        await asyncio.gather(*(firewall.remove(subject) for subject in many))
        assert (await firewall.list_bans()).complete == set()

    @pytest.mark.parametrize("subject", UNBANNABLE)
    async def test_refuses_what_must_not_be_banned(
        self, firewall: Firewall, subject: Subject
    ) -> None:
        """The host itself, half of the internet and text that is no network are refused."""
        with pytest.raises(FirewallRefused):
            await firewall.add(subject)
        assert (await firewall.list_bans()).complete == set()

    async def test_bans_outlive_the_connection(self, firewall: Firewall) -> None:
        """Closing and connecting again, which may be done at any time, lifts no ban."""
        await firewall.add(HOST)
        await firewall.connect()
        await firewall.close()
        await firewall.close()
        await firewall.connect()
        assert (await firewall.list_bans()).complete == {HOST}

    async def test_says_nothing_is_lost_while_nothing_happens(self, firewall: Firewall) -> None:
        """Our own changes are no losses."""
        await firewall.add(HOST)
        await firewall.remove(HOST)
        await firewall.list_bans()  # what the firewall says of the changes comes before its answer
        with skipped_time(), pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await firewall.wait_until_lost()

    async def test_has_a_name(self, firewall: Firewall) -> None:
        """It is called what the configuration calls it."""
        assert firewall.name in BACKENDS
        assert isinstance(BACKENDS[firewall.name]("", "drop"), type(firewall))

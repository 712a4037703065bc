"""The firewalld backend with a real firewalld: rules, zones, and what the kernel makes of them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from mailbanned.address import Subject
from mailbanned.firewall import Firewall, FirewallDown, Listed, Verdict
from tests.firewall.contract import FirewallContract
from tests.real.enforcing import connected
from tests.real.lab import ATTACKERS4, ATTACKERS6, INTERFACE, NEIGHBOURS6, ZONE, Lab

pytestmark = pytest.mark.real

HOST = Subject(f"{ATTACKERS4[0]}/32")
PREFIX = Subject("2001:db8:0:2::/64")
PORT = 2500


class TestFirewalld(FirewallContract):
    """Firewalld keeps the contract of all backends."""

    @pytest.fixture
    async def firewall(self, lab: Lab) -> AsyncIterator[Firewall]:
        async with connected(lab) as firewall:
            yield firewall
            listed = await firewall.list_bans()
            for subject in listed.complete | listed.partial:
                await firewall.remove(subject)


@pytest.mark.parametrize(
    ("subject", "banned", "free"),
    [
        (HOST, ATTACKERS4[0], ATTACKERS4[1]),
        (Subject(f"{ATTACKERS6[0]}/128"), ATTACKERS6[0], ATTACKERS6[1]),
        (PREFIX, NEIGHBOURS6[7], ATTACKERS6[0]),
    ],
)
async def test_packets_of_a_banned_subject_are_dropped(
    lab: Lab, subject: Subject, banned: str, free: str
) -> None:
    """While the rule is there the subject's packets vanish, and nobody else's."""
    with lab.listen(PORT, socket.AF_INET6):
        async with connected(lab) as firewall:
            lab.connect(banned, PORT).close()
            await firewall.add(subject)
            assert lab.denied() == {subject}
            assert lab.drops(banned, PORT)
            lab.connect(free, PORT).close()
            await firewall.remove(subject)
            assert lab.denied() == set()
            lab.connect(banned, PORT).close()


@pytest.mark.parametrize("subject", [HOST, PREFIX])
async def test_reject_answers_the_banned(lab: Lab, subject: Subject) -> None:
    """With the verdict "reject" the subject is told, in both families."""
    source = ATTACKERS4[0] if subject == HOST else NEIGHBOURS6[0]
    with lab.listen(PORT, socket.AF_INET6):
        async with connected(lab, verdict="reject") as firewall:
            await firewall.add(subject)
            assert lab.rules() == {
                f'rule family="ipv{4 if subject == HOST else 6}" source address="{subject}" reject'
            }
            with pytest.raises(ConnectionRefusedError):
                lab.connect(source, PORT)
            assert await firewall.list_bans() == Listed({subject}, set())


async def test_finds_the_zone_of_the_default_route(lab: Lab) -> None:
    """Without a configured zone, rules go where the interface with the default route is."""
    async with connected(lab) as firewall:
        assert firewall.zone == ""
        await firewall.add(HOST)
        assert firewall.zone == ZONE


@pytest.mark.parametrize("zone", ["internal", "typo"])
async def test_an_inactive_zone_is_refused(lab: Lab, zone: str) -> None:
    """A configured zone that sees no packets gets no rule, and people are told which would."""
    async with connected(lab, zone=zone) as firewall:
        for action in (firewall.list_bans(), firewall.add(HOST)):
            with pytest.raises(FirewallDown, match=f"zone {zone} is not active.* to {ZONE},"):
                await action
    assert lab.rules("internal") == set()


async def test_an_interface_without_a_zone_is_in_the_default_zone(lab: Lab) -> None:
    """firewalld lists no zone for it as active, and still it is banned there."""
    lab.firewall_cmd(f"--zone={ZONE}", f"--remove-interface={INTERFACE}")
    try:
        with lab.listen(PORT):
            async with connected(lab) as firewall:
                await firewall.add(HOST)
                assert firewall.zone == ZONE
                assert lab.drops(ATTACKERS4[0], PORT)
    finally:
        lab.firewall_cmd(f"--zone={ZONE}", f"--add-interface={INTERFACE}")


async def test_rules_of_another_verdict_or_zone_are_only_part_of_a_ban(lab: Lab) -> None:
    """After a change of configuration old rules are replaced, and never a moment missing."""
    verdicts: tuple[Verdict, Verdict] = ("reject", "drop")
    for verdict in verdicts:
        async with connected(lab, verdict=verdict) as firewall:
            if verdict == "drop":
                assert await firewall.list_bans() == Listed(set(), {HOST})
            await firewall.add(HOST)
            assert await firewall.list_bans() == Listed({HOST}, set())
    assert lab.rules() == {f'rule family="ipv4" source address="{HOST}" drop'}
    lab.firewall_cmd("--zone=external", f"--change-interface={INTERFACE}")
    try:
        async with connected(lab, zone="external") as firewall:
            lab.firewall_cmd("--zone=public", "--add-interface=wan7")
            assert await firewall.list_bans() == Listed(set(), {HOST})
            await firewall.add(HOST)
            assert lab.rules("external") == {f'rule family="ipv4" source address="{HOST}" drop'}
            assert lab.rules(ZONE) == set()
            await firewall.remove(HOST)
            assert lab.rules("external") == set()
    finally:
        lab.firewall_cmd("--zone=public", "--remove-interface=wan7")
        lab.firewall_cmd(f"--zone={ZONE}", f"--change-interface={INTERFACE}")


FOREIGN = {
    'rule family="ipv4" source address="203.0.113.5" drop',
    'rule family="ipv4" source address="203.0.113.0/24" drop',
    'rule family="ipv4" source address="203.0.113.6/32" accept',
    'rule family="ipv4" source address="203.0.113.7/32" reject type="icmp-host-prohibited"',
    'rule family="ipv6" source address="2001:db8:9::/48" drop',
    'rule family="ipv6" source address="2001:db8:9::1" drop',
    'rule priority="-5" family="ipv4" source address="203.0.113.8/32" drop',
}


async def test_rules_of_others_are_neither_listed_nor_touched(lab: Lab) -> None:
    """An administrator's rules stay as they are, even next to ours for the same address."""
    lab.firewall_cmd(*(f"--add-rich-rule={rule}" for rule in FOREIGN))
    async with connected(lab) as firewall:
        assert await firewall.list_bans() == Listed(set(), set())
        ours = [Subject("203.0.113.5/32"), Subject("203.0.113.8/32")]
        for subject in ours:
            await firewall.add(subject)
        assert (await firewall.list_bans()).complete == set(ours)
        for subject in ours:
            await firewall.remove(subject)
    assert lab.rules() == FOREIGN


async def test_bans_do_not_become_permanent(lab: Lab) -> None:
    """`--runtime-to-permanent` makes them end never; ours, and only ours, are taken out again."""
    foreign = 'rule family="ipv4" source address="203.0.113.5" drop'
    lab.firewall_cmd(f"--add-rich-rule={foreign}")
    zone_file = lab.directory / "etc" / "zones" / f"{ZONE}.xml"
    before = zone_file.read_text()
    try:
        async with connected(lab) as firewall:
            await firewall.list_bans()
            await firewall.add(HOST)
            lab.firewall_cmd("--runtime-to-permanent")
            assert HOST in zone_file.read_text()
            assert (await firewall.list_bans()).complete == {HOST}
            assert lab.firewall_cmd("--permanent", "--list-rich-rules") == foreign
            assert (await firewall.list_bans()).complete == {HOST}
    finally:
        zone_file.write_text(before)
        lab.reload()

"""The enforcer with a real firewalld: whatever happens to it, the kernel holds the wanted bans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mailbanned.address import Subject
from mailbanned.firewall import Enforcer
from tests.real.enforcing import enforced, settles
from tests.real.lab import ATTACKERS4, INTERFACE, ZONE, Lab

pytestmark = pytest.mark.real

BANS = [*(f"{address}/32" for address in ATTACKERS4[:20]), "2001:db8:0:2::/64"]
NEW = Subject(f"{ATTACKERS4[50]}/32")


async def _banned(lab: Lab, *subjects: str) -> None:
    await settles(lambda: lab.denied() == set(subjects), f"{len(subjects)} bans are in the kernel")


async def _says(enforcer: Enforcer, in_force: int, pending: int = 0) -> None:
    def agrees() -> bool:
        state = enforcer.state()
        return (state.state, state.bans_in_force, state.pending) == ("up", in_force, pending)

    await settles(agrees, f"{in_force} in force, {pending} pending")


def _restart(lab: Lab) -> None:
    lab.stop_firewalld()
    lab.start_firewalld()


def _crash(lab: Lab) -> None:
    lab.kill_firewalld()
    lab.start_firewalld()


def _restart_bus(lab: Lab) -> None:
    lab.stop_bus()
    lab.stop_firewalld()
    lab.start_bus()
    lab.start_firewalld()


def _panic(lab: Lab) -> None:
    lab.firewall_cmd("--panic-on")
    lab.firewall_cmd("--panic-off")


def _complete_reload(lab: Lab) -> None:
    lab.firewall_cmd("--complete-reload")


@pytest.mark.parametrize(
    "mishap", [Lab.reload, _complete_reload, _restart, _crash, _restart_bus, _panic]
)
async def test_bans_survive(lab: Lab, mishap: Callable[[Lab], None]) -> None:
    """After any mishap all bans are back, the enforcer knows it, and goes on banning."""
    async with enforced(lab, *BANS) as enforcer:
        await _banned(lab, *BANS)
        await asyncio.to_thread(mishap, lab)
        await _banned(lab, *BANS)
        await _says(enforcer, len(BANS))
        enforcer.want(NEW)
        await _banned(lab, *BANS, NEW)


async def test_waits_for_firewalld_at_start(lab: Lab) -> None:
    """A daemon that starts before firewalld bans as soon as it is there."""
    lab.stop_firewalld()
    async with enforced(lab, *BANS[:2]) as enforcer:
        await settles(lambda: enforcer.state().state == "down", "firewalld is missed")
        assert enforcer.state().detail == "firewalld is not running"
        enforcer.want(NEW)
        assert (enforcer.state().bans_in_force, enforcer.state().pending) == (0, 3)
        await asyncio.to_thread(lab.start_firewalld)
        await _banned(lab, *BANS[:2], NEW)
        await _says(enforcer, 3)


async def test_waits_for_the_bus_at_start(lab: Lab) -> None:
    """Even the system bus may come later."""
    lab.stop_firewalld()
    lab.stop_bus()
    async with enforced(lab, *BANS[:2]) as enforcer:
        await settles(lambda: enforcer.state().state == "down", "the bus is missed")
        assert enforcer.state().detail.startswith("the system bus cannot be reached")
        await asyncio.to_thread(lab.start_bus)
        await asyncio.to_thread(lab.start_firewalld)
        await _banned(lab, *BANS[:2])


async def test_panic_mode_is_shown_and_waited_out(lab: Lab) -> None:
    """While panic mode is on, bans are pending; they follow when it is off."""
    async with enforced(lab, *BANS[:2]) as enforcer:
        await _says(enforcer, 2)
        await asyncio.to_thread(lab.firewall_cmd, "--panic-on")
        try:
            await settles(lambda: enforcer.state().state == "down", "panic mode is noticed")
            assert "panic mode" in enforcer.state().detail
            enforcer.want(NEW)
            assert (enforcer.state().bans_in_force, enforcer.state().pending) == (0, 3)
        finally:
            await asyncio.to_thread(lab.firewall_cmd, "--panic-off")
        await _banned(lab, *BANS[:2], NEW)


async def test_leftovers_go_and_rules_of_others_stay(lab: Lab) -> None:
    """Bans that ended while no daemon ran are lifted; what is not ours is let be."""
    foreign = 'rule family="ipv4" source address="203.0.113.0/24" drop'
    async with enforced(lab, *BANS[:5]):
        await _banned(lab, *BANS[:5])
    assert lab.denied() == set(BANS[:5])
    lab.firewall_cmd(f"--add-rich-rule={foreign}")
    async with enforced(lab, *BANS[3:7]):
        await _banned(lab, *BANS[3:7], "203.0.113.0/24")
    assert foreign in lab.rules()


async def test_the_audit_notices_what_no_signal_tells(lab: Lab) -> None:
    """A rule removed by hand is put again, and a rule of ours put by hand is removed."""
    async with enforced(lab, *BANS[:3], audit=0.2) as enforcer:
        await _says(enforcer, 3)
        rule = 'rule family="ipv4" source address="{}" drop'
        by_hand = f"--remove-rich-rule={rule.format(BANS[1])}"
        await asyncio.to_thread(lab.firewall_cmd, by_hand)
        by_hand = f"--add-rich-rule={rule.format(NEW)}"
        await asyncio.to_thread(lab.firewall_cmd, by_hand)
        await _banned(lab, *BANS[:3])
        await _says(enforcer, 3)


async def test_bans_follow_their_interface_into_another_zone(lab: Lab) -> None:
    """When the outward interface gets another zone, so do the rules."""
    async with enforced(lab, *BANS) as enforcer:
        await _says(enforcer, len(BANS))
        move = "--zone={}", f"--change-interface={INTERFACE}"
        await asyncio.to_thread(lab.firewall_cmd, move[0].format("external"), move[1])
        try:
            await settles(lambda: lab.denied("external") == set(BANS), "the bans have moved")
            assert enforcer.state().zone == "external"
        finally:
            await asyncio.to_thread(lab.firewall_cmd, move[0].format(ZONE), move[1])
        await _banned(lab, *BANS)
        await _says(enforcer, len(BANS))


async def test_an_inactive_zone_is_said_until_it_is_active(lab: Lab) -> None:
    """A configured zone without traffic keeps the firewall down, with a sentence for people."""
    async with enforced(lab, BANS[0], zone="external") as enforcer:
        await settles(lambda: enforcer.state().state == "down", "the zone is refused")
        assert "zone external is not active" in enforcer.state().detail
        await asyncio.to_thread(
            lab.firewall_cmd, "--zone=external", f"--change-interface={INTERFACE}"
        )
        try:
            await settles(lambda: lab.denied("external") == {BANS[0]}, "the ban is in the kernel")
        finally:
            await asyncio.to_thread(
                lab.firewall_cmd, f"--zone={ZONE}", f"--change-interface={INTERFACE}"
            )


async def test_flush_leaves_only_the_rules_of_others(lab: Lab) -> None:
    """A run that shall leave nothing takes all of ours, and nothing else."""
    lab.firewall_cmd('--add-rich-rule=rule family="ipv4" source address="203.0.113.5" drop')
    async with enforced(lab, *BANS) as enforcer:
        await _says(enforcer, len(BANS))
    await enforcer.flush()
    assert lab.denied() == {"203.0.113.5/32"}

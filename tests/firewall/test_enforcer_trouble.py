"""The enforcer while the firewall fails, forgets or stays away: no ban is lost."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from mailbanned.address import Subject
from mailbanned.firewall import Enforcer, FirewallState
from tests.firewall.support import (
    ScriptedFirewall,
    make_enforcer,
    running,
    shows,
    subjects,
)
from tests.waiting import until


@pytest.fixture
async def enforcer(firewall: ScriptedFirewall, reported: list[Subject]) -> Enforcer:
    return make_enforcer(firewall, reported)


async def _settled(enforcer: Enforcer, in_force: int) -> None:
    def reached() -> bool:
        state = enforcer.state()
        return (state.state, state.bans_in_force, state.pending) == ("up", in_force, 0)

    await until(reached, f"{in_force} bans in force")


async def test_waits_for_a_firewall_that_is_not_there_yet(
    firewall: ScriptedFirewall, enforcer: Enforcer, reported: list[Subject]
) -> None:
    """Bans decided while the firewall is down are pending, and are put when it comes."""
    before, during = subjects(2)
    firewall.down = "it is not running"
    enforcer.restore([before])
    async with running(enforcer):
        await until(shows(enforcer, "down"), "it is known to be down")
        enforcer.want(during)
        assert enforcer.state() == FirewallState(
            "scripted", "down", "there", "it is not running", 0, 2
        )
        await until(lambda: firewall.connects > 3, "it is tried again")
        firewall.down = ""
        await _settled(enforcer, 2)
    assert firewall.rules == {before, during}
    assert firewall.done[0] == f"+{during}"
    assert set(reported) == {before, during}


async def test_an_outage_is_said_once_and_so_is_its_end(
    firewall: ScriptedFirewall, enforcer: Enforcer
) -> None:
    """However often it is tried, the log has one line for the outage and one for the return."""
    enforcer.restore(subjects(3))
    with capture_logs() as logs:
        async with running(enforcer):
            await _settled(enforcer, 3)
            firewall.down = "it is not running"
            firewall.lose("it stopped")
            await until(lambda: firewall.connects > 4, "it is tried again and again")
            firewall.down = ""
            await _settled(enforcer, 3)
    events = [(log["log_level"], log["event"]) for log in logs]
    assert events == [
        ("info", "firewall is up"),
        ("error", "firewall is down: it is not running"),
        ("info", "firewall is up"),
    ]
    assert logs[1]["waiting"] == 3
    assert logs[2]["to_restore"] == 3


async def test_a_ban_that_fails_is_put_when_the_firewall_is_back(
    firewall: ScriptedFirewall, enforcer: Enforcer, reported: list[Subject]
) -> None:
    """A change that fails for now takes the firewall down, is held, and is tried again."""
    first, second = subjects(2)
    async with running(enforcer):
        enforcer.want(first)
        await _settled(enforcer, 1)
        firewall.down = "the command failed"
        enforcer.want(second)
        await until(shows(enforcer, "down"), "the failure is noticed")
        state = enforcer.state()
        assert (state.bans_in_force, state.pending, state.detail) == (0, 2, "the command failed")
        firewall.down = ""
        await _settled(enforcer, 2)
    assert firewall.started.count(f"+{first}") == 1
    assert reported == [first, second]


async def test_all_bans_come_back_after_a_loss(
    firewall: ScriptedFirewall, enforcer: Enforcer, reported: list[Subject]
) -> None:
    """Lost rules are added again, newest first; meanwhile they are not in force, nor reported."""
    bans = subjects(20)
    async with running(enforcer):
        for subject in bans:
            enforcer.want(subject)
        await _settled(enforcer, 20)
        firewall.done.clear()
        firewall.hold()
        with capture_logs() as logs:
            firewall.lose("it was reloaded")
            await until(lambda: firewall.in_flight, "restoring has begun")
            assert (enforcer.state().bans_in_force, enforcer.state().pending) == (0, 20)
            firewall.flow()
            await _settled(enforcer, 20)
    assert firewall.done == [f"+{subject}" for subject in reversed(bans)]
    assert reported == bans[::-1]  # all of them had waited for the firewall
    assert [log["event"] for log in logs] == ["restoring bans: it was reloaded"]


async def test_a_loss_while_the_rules_are_listed_is_not_overlooked(
    firewall: ScriptedFirewall, enforcer: Enforcer, reported: list[Subject]
) -> None:
    """A listing that was overtaken by a loss counts for nothing."""
    bans = subjects(3)
    firewall.rules = set(bans)

    def lose_once() -> None:
        if firewall.listings == 1:
            firewall.lose()

    firewall.before_listing_returns = lose_once
    enforcer.restore(bans)
    firewall.hold()
    async with running(enforcer):
        await until(lambda: firewall.in_flight, "restoring has begun")
        assert reported == []
        firewall.flow()
        await until(lambda: firewall.rules == set(bans), "all bans are back")
        await _settled(enforcer, 3)


async def test_a_loss_while_bans_are_restored_is_not_overlooked(
    firewall: ScriptedFirewall, enforcer: Enforcer
) -> None:
    """Losing everything again half-way only means starting again."""
    bans = subjects(12)
    enforcer.restore(bans)
    firewall.hold()
    async with running(enforcer):
        for _ in range(3):
            await until(lambda: firewall.in_flight, "restoring has begun")
            firewall.release(5)
            await until(lambda: len(firewall.done) == 5, "some are restored")
            firewall.done.clear()
            firewall.lose()
        firewall.flow()
        await until(lambda: firewall.rules == set(bans), "all bans are back")
        await _settled(enforcer, 12)


async def test_an_old_failure_does_not_take_down_a_firewall_that_is_back(
    firewall: ScriptedFirewall, enforcer: Enforcer
) -> None:
    """A call that hung through an outage fails late, which only means to put that ban again."""
    first, late = subjects(2)
    async with running(enforcer):
        enforcer.want(first)
        await _settled(enforcer, 1)
        firewall.hold()
        enforcer.want(late)
        await until(lambda: firewall.in_flight == 1, "the call hangs")
        firewall.lose("it was restarted")
        await until(lambda: f"+{first}" in firewall.started[2:], "it is back")
        firewall.down = "no answer"
        firewall.release()
        await until(lambda: firewall.started.count(f"+{late}") == 2, "it is put again")
        firewall.down = ""
        firewall.flow()
        await _settled(enforcer, 2)
    assert firewall.connects == 1


async def test_the_audit_repairs_what_was_not_announced(
    firewall: ScriptedFirewall, reported: list[Subject]
) -> None:
    """A rule removed by hand comes back, one that came back by itself goes, others are let be."""
    bans, [stranger] = subjects(5), subjects(1, net=1)
    enforcer = make_enforcer(firewall, reported, audit=0.02)
    enforcer.restore(bans)
    async with running(enforcer):
        await _settled(enforcer, 5)
        with capture_logs() as logs:
            firewall.done.clear()
            firewall.rules.discard(bans[2])
            firewall.rules.add(stranger)
            await until(lambda: firewall.rules == set(bans), "the rules are repaired")
            await _settled(enforcer, 5)
    assert sorted(firewall.done) == sorted([f"+{bans[2]}", f"-{stranger}"])
    assert [log["event"] for log in logs] == ["restoring bans: they vanished from the firewall"]
    assert reported.count(bans[2]) == 1

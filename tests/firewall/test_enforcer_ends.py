"""The enforcer with a firewall that forgets by itself, and with one that takes much at a time."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from mailbanned.address import Subject
from mailbanned.firewall import Enforcer, FirewallDown
from tests.firewall.support import (
    ManualClock,
    ScriptedFirewall,
    running,
    subjects,
)
from tests.waiting import until

TEMPORARY, PERMANENT = subjects(2)
ENDS = {TEMPORARY: 5000.0, PERMANENT: None}


def make(firewall: ScriptedFirewall, ends: dict[Subject, float | None]) -> Enforcer:
    """An enforcer that looks the ends of bans up, and audits without rest."""
    return Enforcer(
        firewall,
        ManualClock(),
        cut=None,
        on_in_force=lambda _report: None,
        until=ends.__getitem__,
        audit=0.01,
    )


async def test_the_firewall_is_told_when_a_ban_ends(firewall: ScriptedFirewall) -> None:
    """New and restored bans are put with the end that holds at that moment."""
    enforcer = make(firewall, ENDS)
    enforcer.restore([TEMPORARY])
    async with running(enforcer):
        enforcer.want(PERMANENT)
        await until(lambda: len(firewall.rules) == 2, "both are put")
    assert firewall.until == ENDS


async def test_what_is_about_to_be_forgotten_is_put_once_more(firewall: ScriptedFirewall) -> None:
    """A wanted ban gets its new end without being missed meanwhile; the log has nothing of it."""
    ends = dict(ENDS)
    enforcer = make(firewall, ends)
    enforcer.restore(ends)
    async with running(enforcer):
        await until(lambda: enforcer.state().bans_in_force == 2, "both are in force")
        firewall.hold()
        firewall.done.clear()
        ends[TEMPORARY] = 9000.0
        with capture_logs() as logs:
            firewall.ending = {TEMPORARY}
            await until(lambda: firewall.in_flight, "it is put again")
            assert (enforcer.state().bans_in_force, enforcer.state().pending) == (2, 0)
            firewall.flow()
            await until(lambda: not firewall.ending, "it has its new end")
            listings = firewall.listings
            await until(lambda: firewall.listings > listings + 2, "some audits more")
    assert firewall.until[TEMPORARY] == 9000.0
    assert firewall.done == [f"+{TEMPORARY}"]
    assert logs == []


async def test_what_ends_and_is_not_wanted_is_lifted(firewall: ScriptedFirewall) -> None:
    """A ban that ends by itself is not waited for."""
    firewall.rules = {TEMPORARY}
    firewall.ending = {TEMPORARY}
    async with running(make(firewall, {})):
        await until(lambda: not firewall.rules, "it is lifted")


async def test_as_many_changes_at_a_time_as_the_firewall_likes(firewall: ScriptedFirewall) -> None:
    """The slots that old bans may not have are kept free for new ones."""
    firewall.max_parallel, firewall.max_parallel_restores = 40, 30
    firewall.hold()
    old, new = subjects(60, net=1), subjects(20, net=2)
    enforcer = make(firewall, dict.fromkeys([*old, *new]))
    enforcer.restore(old)
    async with running(enforcer):
        await until(lambda: firewall.in_flight == 30, "the slots for old bans are used")
        for subject in new:
            enforcer.want(subject)
        await until(lambda: firewall.in_flight == 40, "all slots are used")
        assert set(firewall.started[30:]) == {f"+{subject}" for subject in new[:10]}
        firewall.flow()
        await until(lambda: len(firewall.rules) == 80, "all are put")
    assert firewall.most_in_flight == 40


async def test_flush_removes_many_at_a_time(firewall: ScriptedFirewall) -> None:
    """All bans go, as many at a time as the firewall likes, and a failure is raised."""
    firewall.max_parallel = 7
    firewall.rules = set(subjects(20))
    enforcer = make(firewall, {})
    await enforcer.flush()
    assert (firewall.rules, firewall.most_in_flight) == (set(), 7)

    class Stuck(ScriptedFirewall):
        async def remove(self, subject: Subject) -> None:
            raise FirewallDown("it is stuck")

    with pytest.raises(FirewallDown, match="stuck"):
        await make(Stuck(subjects(3)), {}).flush()

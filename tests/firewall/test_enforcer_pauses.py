"""The enforcer's pauses between attempts: they grow, end early on a return, and never vanish."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from mailbanned.address import Subject
from mailbanned.firewall import FirewallDown
from tests.firewall.support import (
    ScriptedFirewall,
    make_enforcer,
    running,
    shows,
    subjects,
)
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("skipping")


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_return_ends_the_pause(firewall: ScriptedFirewall, reported: list[Subject]) -> None:
    """Who hears that the firewall is back does not wait for the end of a long pause."""
    enforcer = make_enforcer(firewall, reported, pauses=(0.02, 60.0))
    firewall.down = "it is not running"
    async with running(enforcer):
        await until(lambda: firewall.connects == 7, "the next pause takes 1.28 s")
        firewall.down, began = "", now()
        firewall.lose("it started")
        await until(shows(enforcer, "up"), "it is up")
        assert now() - began < 0.03, "no more than the first pause"


async def test_losses_with_every_attempt_do_not_make_it_spin(reported: list[Subject]) -> None:
    """A bus that accepts and hangs up at once is tried with pauses."""

    class HangsUp(ScriptedFirewall):
        async def connect(self) -> None:
            self.lose("the connection broke")
            await super().connect()

    firewall = HangsUp()
    firewall.down = "the connection broke"
    async with running(make_enforcer(firewall, reported, pauses=(0.05, 0.05))):
        await asyncio.sleep(1.01)
    assert firewall.connects == 21


async def test_pauses_grow_up_to_a_limit(reported: list[Subject]) -> None:
    """The longer it is down, the less often it is tried."""
    times: list[float] = []

    class Absent(ScriptedFirewall):
        async def connect(self) -> None:
            times.append(now())
            raise FirewallDown("it is not running")

    async with running(make_enforcer(Absent(), reported, pauses=(0.02, 0.08))):
        await until(lambda: len(times) == 6, "six attempts")
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses == pytest.approx([0.02, 0.04, 0.08, 0.08, 0.08])


async def test_a_ban_that_always_fails_is_tried_less_and_less_often(
    reported: list[Subject],
) -> None:
    """The pauses grow as well when the firewall can be reached and only the change fails."""
    times: list[float] = []

    class Unwilling(ScriptedFirewall):
        async def add(self, subject: Subject, until: float | None = None) -> None:
            times.append(now())
            raise FirewallDown("the command failed")

    enforcer = make_enforcer(Unwilling(), reported, pauses=(0.02, 60.0))
    enforcer.restore(subjects(1))
    async with running(enforcer):
        await until(lambda: len(times) == 5, "five attempts")
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses == pytest.approx([0.02, 0.04, 0.08, 0.16])


async def test_pauses_are_short_again_after_a_good_time(
    firewall: ScriptedFirewall, reported: list[Subject]
) -> None:
    """A long outage does not make the end of the next one be noticed late."""
    enforcer = make_enforcer(firewall, reported, pauses=(0.02, 60.0))

    async def outage() -> None:
        firewall.down = "it is not running"
        firewall.lose()
        attempts, began = firewall.connects + 4, now()
        await until(lambda: firewall.connects == attempts, "four attempts")
        assert now() - began < 0.31, "the pauses were 0.02, 0.04, 0.08 and 0.16 s at most"
        firewall.down = ""
        await until(shows(enforcer, "up"), "it is up again")

    async with running(enforcer):
        await outage()
        await outage()

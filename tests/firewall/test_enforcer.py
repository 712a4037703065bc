"""The enforcer while the firewall works: what is wanted is put at once, in the right order."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest
from structlog.testing import capture_logs

from mailbanned.address import Subject
from mailbanned.firewall import Enforcer, FirewallState
from tests.firewall.support import NEVER, ManualClock, ScriptedFirewall, running, subjects
from tests.waiting import skipped_time, until


class Bench:
    """An enforcer over a scripted firewall, and what it reported."""

    def __init__(self, *rules: Subject) -> None:
        self.firewall = ScriptedFirewall(rules)
        self.clock = ManualClock()
        self.reported: list[tuple[Subject, float]] = []
        self.cuts: list[set[Subject]] = []
        self.cutting = asyncio.Event()
        self.cutting.set()
        self.enforcer = Enforcer(
            self.firewall,
            self.clock,
            cut=self.cut,
            on_in_force=lambda report: self.reported.append((report.subject, report.dropped_since)),
            audit=NEVER,
        )

    async def cut(self, subjects: Collection[Subject]) -> None:
        self.cuts.append(set(subjects))
        await self.cutting.wait()

    async def up(self) -> None:
        await until(lambda: self.enforcer.state().state == "up", "the firewall is up")

    async def settled(self, in_force: int) -> None:
        """All work is done, with N bans in force."""
        await until(
            lambda: (
                self.enforcer.state().bans_in_force == len(self.firewall.rules) == in_force
                and self.enforcer.state().pending == self.firewall.in_flight == 0
            ),
            f"{in_force} bans in force and nothing to do",
        )


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_settled_once_the_old_bans_are_in_force() -> None:
    """After that all are there, those that were there already included."""
    held, *lost = subjects(3)
    bench = Bench(held)
    bench.firewall.hold()
    bench.enforcer.restore([held, *lost])
    async with running(bench.enforcer):
        await until(lambda: bench.firewall.in_flight == 2, "they are being put")
        assert not bench.enforcer.settled.is_set()
        bench.firewall.flow()
        await bench.enforcer.settled.wait()
        assert bench.firewall.rules == {held, *lost}


@pytest.mark.parametrize("down", ["", "there is none"])
async def test_settled_with_nothing_to_wait_for(bench: Bench, down: str) -> None:
    """Without old bans, and without a firewall, nothing waits."""
    bench.firewall.down = down
    bench.enforcer.restore(subjects(3) if down else [])
    async with running(bench.enforcer):
        await bench.enforcer.settled.wait()


async def test_settled_without_those_that_never_come(bench: Bench) -> None:
    """A ban that is refused, or ends before it is in force, is not waited for."""
    refused, ended = subjects(2)
    bench.firewall.refused = {refused}
    bench.firewall.hold()
    bench.enforcer.restore([refused, ended])
    async with running(bench.enforcer):
        await until(lambda: bench.firewall.in_flight == 2, "they are being put")
        bench.enforcer.unwant(ended)
        assert not bench.enforcer.settled.is_set()
        bench.firewall.flow()
        await bench.enforcer.settled.wait()
    assert bench.reported == []


async def test_a_ban_is_added_and_reported_with_the_time_it_came_into_force(bench: Bench) -> None:
    """`on_in_force` is called once, with the clock as it was when the firewall had confirmed."""
    [subject] = subjects(1)
    async with running(bench.enforcer):
        await bench.up()
        bench.firewall.hold()
        bench.enforcer.want(subject)
        await until(lambda: bench.firewall.started, "the ban is under way")
        assert bench.reported == []
        bench.clock.time = 1234.5
        bench.firewall.flow()
        await bench.settled(1)
    assert bench.reported == [(subject, 1234.5)]
    assert bench.firewall.done == [f"+{subject}"]


async def test_shows_its_state(bench: Bench) -> None:
    """State, zone and counts are there from the beginning, and only confirmed bans are in force."""
    first, second = subjects(2)
    bench.enforcer.restore([first])
    assert bench.enforcer.state() == FirewallState("scripted", "connecting", "there", "", 0, 1)
    async with running(bench.enforcer):
        await bench.settled(1)
        assert bench.firewall.listings == 1
        bench.firewall.hold()
        bench.enforcer.want(second)
        assert bench.enforcer.state() == FirewallState("scripted", "up", "there", "", 1, 1)
        bench.firewall.flow()
        await bench.settled(2)


async def test_restores_what_is_missing_and_removes_what_is_left_over() -> None:
    """At start the rules become those wanted: the newest first, and those there are let be."""
    wanted, leftovers = subjects(4, net=1), subjects(2, net=2)
    bench = Bench(wanted[1], *leftovers)
    bench.firewall.partial = {wanted[0], *subjects(1, net=3)}
    bench.enforcer.restore(wanted)
    async with running(bench.enforcer):
        await bench.settled(4)
        await until(lambda: not bench.firewall.partial, "partial rules are gone")
    assert bench.firewall.done[:3] == [f"+{wanted[n]}" for n in (3, 2, 0)]
    removed = {f"-{subject}" for subject in (*leftovers, *subjects(1, net=3))}
    assert set(bench.firewall.done[3:]) == removed
    assert sorted(subject for subject, _ in bench.reported) == sorted(wanted)


async def test_new_bans_overtake_restored_ones(bench: Bench) -> None:
    """A new ban goes out at once while others are restored, in at most four calls at a time."""
    old, new = subjects(30, net=1), subjects(6, net=2)
    bench.enforcer.restore(old)
    bench.firewall.hold()
    async with running(bench.enforcer):
        await until(lambda: bench.firewall.started, "restoring has begun")
        for subject in new:
            bench.enforcer.want(subject)
        await until(lambda: bench.firewall.in_flight == 4, "all four slots are used")
        assert bench.firewall.started[3:] == [f"+{new[0]}"]
        bench.firewall.release(5)
        await until(lambda: len(bench.firewall.started) >= 9, "more is under way")
        assert bench.firewall.started[4:9] == [f"+{subject}" for subject in new[1:]]
        bench.firewall.flow()
        await bench.settled(36)
    assert bench.firewall.most_in_flight == 4


async def test_new_bans_do_not_wait_for_a_listing(bench: Bench) -> None:
    """While the rules are being listed after a loss, a new ban is put."""
    [subject] = subjects(1)
    async with running(bench.enforcer):
        await bench.up()
        bench.firewall.before_listing_returns = lambda: (
            bench.enforcer.want(subject) if bench.firewall.listings == 2 else None
        )
        bench.firewall.lose()
        await bench.settled(1)
    assert bench.reported == [(subject, 1000.0)]


async def test_ban_and_unban_in_quick_succession_end_right(bench: Bench) -> None:
    """Whatever the last word was holds, even if it came while the firewall was at work."""
    stays, goes, returns = subjects(3)
    async with running(bench.enforcer):
        await bench.up()
        bench.firewall.hold()
        for subject in (stays, goes, returns):
            bench.enforcer.want(subject)
        await until(lambda: bench.firewall.in_flight == 3, "all are under way")
        bench.enforcer.unwant(goes)
        bench.enforcer.unwant(returns)
        bench.enforcer.want(returns)
        bench.firewall.flow()
        await bench.settled(2)
        bench.firewall.hold()
        bench.enforcer.unwant(stays)
        await until(lambda: bench.firewall.in_flight == 1, "the removal is under way")
        bench.enforcer.want(stays)
        assert bench.enforcer.state().pending + bench.enforcer.state().bans_in_force == 2
        bench.firewall.flow()
        await until(lambda: bench.firewall.done[-1] == f"+{stays}", "it is put again")
        await bench.settled(2)
    assert bench.firewall.rules == {stays, returns}
    assert [subject for subject, _ in bench.reported] == [stays, returns, stays]


async def test_a_second_ban_of_the_same_subject_is_in_force_at_once(bench: Bench) -> None:
    """Another jail's ban finds the rule there; since the subject acts, it is cut once more."""
    [subject] = subjects(1)
    async with running(bench.enforcer):
        bench.enforcer.want(subject)
        await bench.settled(1)
        await until(lambda: len(bench.cuts) == 1, "it is cut")
        bench.enforcer.want(subject)
        assert bench.reported == [(subject, 1000.0)] * 2
        await until(lambda: len(bench.cuts) == 2, "it is cut again")
    assert bench.firewall.done == [f"+{subject}"]


async def test_a_refused_ban_is_said_once_and_not_tried_again(bench: Bench) -> None:
    """What the firewall will never do is an error in the log, and not in force."""
    good, bad = subjects(2)
    bench.firewall.refused = {bad}
    with capture_logs() as logs:
        async with running(bench.enforcer):
            bench.enforcer.want(bad)
            bench.enforcer.want(good)
            await bench.settled(1)
            bench.firewall.lose()
            await bench.settled(1)
    assert [log["event"] for log in logs if log["log_level"] == "error"] == [
        f"cannot ban {bad.removesuffix('/32')}: never"
    ]
    assert bench.firewall.started.count(f"+{bad}") == 1
    assert [subject for subject, _ in bench.reported] == [good]


async def test_connections_are_cut_after_the_rule_and_in_batches(bench: Bench) -> None:
    """A subject is cut when its rule is in force; those ready during a cut are cut together."""
    some = subjects(9)
    async with running(bench.enforcer):
        await bench.up()
        bench.firewall.hold()
        bench.cutting.clear()
        bench.enforcer.want(some[0])
        await until(lambda: bench.firewall.in_flight, "the ban is under way")
        assert bench.cuts == []
        bench.firewall.release()
        await until(lambda: bench.cuts == [{some[0]}], "the first is cut")
        bench.firewall.flow()
        for subject in some[1:]:
            bench.enforcer.want(subject)
        await bench.settled(9)
        assert len(bench.cuts) == 1
        bench.cutting.set()
        await until(lambda: len(bench.cuts) == 2, "the others are cut")
    assert bench.cuts[1] == set(some[1:])


async def test_bans_that_are_put_again_are_cut_together(bench: Bench) -> None:
    """Each cut searches all sockets: bans of a reload share one, and a new ban does not wait."""
    old, new = subjects(9)[:8], subjects(9)[8]
    async with running(bench.enforcer):
        await bench.up()
        for subject in old:
            bench.enforcer.want(subject)
        await bench.settled(8)
        await until(lambda: set().union(*bench.cuts) == set(old), "all are cut")
        bench.cuts.clear()
        with skipped_time():
            began = asyncio.get_running_loop().time()
            bench.firewall.lose()
            await bench.settled(8)
            await until(lambda: bench.cuts, "they are cut again")
            gathered = asyncio.get_running_loop().time() - began
            assert bench.cuts == [set(old)]
            bench.enforcer.want(new)
            await until(lambda: len(bench.cuts) == 2, "the new one is cut")
            assert asyncio.get_running_loop().time() - began - gathered < gathered / 2
    assert bench.cuts == [set(old), {new}]


async def test_bans_found_in_force_are_cut_too() -> None:
    """A daemon that was killed between rule and cut cuts at its next start."""
    [subject] = subjects(1)
    bench = Bench(subject)
    bench.enforcer.restore([subject])
    async with running(bench.enforcer):
        await until(lambda: bench.cuts == [{subject}], "it is cut")
    assert bench.firewall.done == []


async def test_stopping_leaves_the_bans_and_closes_the_firewall(bench: Bench) -> None:
    """The end of the daemon is not the end of the bans; what is wanted then is not lost either."""
    first, second = subjects(2)
    async with running(bench.enforcer):
        bench.enforcer.want(first)
        await bench.settled(1)
    bench.enforcer.want(second)
    assert bench.firewall.rules == {first}
    assert bench.firewall.closed


async def test_flush_removes_all_of_ours() -> None:
    """For a run that shall leave nothing behind, whole and partial rules are removed."""
    bench = Bench(*subjects(5))
    bench.firewall.partial = set(subjects(2, net=1))
    await bench.enforcer.flush()
    assert (bench.firewall.rules, bench.firewall.partial) == (set(), set())
    assert bench.firewall.closed

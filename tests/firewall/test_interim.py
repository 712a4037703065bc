"""Interim bans drop the packets of bans that wait for a slow firewall, as long as needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from mailbanned.address import Subject
from mailbanned.firewall import Enforcer, FirewallDown, Interim, Listed
from tests.firewall.support import NEVER, ManualClock, ScriptedFirewall, running, subjects
from tests.waiting import until


class Kernel:
    """Interim bans with their ends. down: if not empty, all fails. replaced: what got a new end."""

    def __init__(self) -> None:
        self.ends: dict[Subject, float | None] = {}
        self.rounds: list[list[Subject]] = []
        self.replaced: list[Subject] = []
        self.down = ""
        self._batch: list[Subject] = []

    async def list_bans(self) -> Listed:
        self._check()
        return Listed(set(self.ends))

    async def add(
        self, subject: Subject, until: float | None = None, *, replace: bool = False
    ) -> None:
        if not self._batch:
            self.rounds.append(self._batch)
            self.rounds[-1] = self._batch = []
        self._batch.append(subject)
        await asyncio.sleep(0)
        self._batch = []
        self._check()
        assert replace or subject not in self.ends
        if replace:
            self.replaced.append(subject)
        self.ends[subject] = until

    async def remove(self, subject: Subject) -> None:
        await asyncio.sleep(0)
        self._check()
        self.ends.pop(subject, None)

    def _check(self) -> None:
        if self.down:
            raise FirewallDown(self.down)


class Scene:
    """An enforcer whose firewall does nothing until it is let, with interim bans.

    reported: reported to be in force. cut: whose connections were cut.
    until: when bans end.
    """

    def __init__(self, kernel: Kernel | None = None) -> None:
        self.clock = ManualClock()
        self.kernel = kernel or Kernel()
        self.firewall = ScriptedFirewall()
        self.reported: list[Subject] = []
        self.cut: list[Subject] = []
        self.until: dict[Subject, float | None] = {}
        self.interim = Interim(
            self.kernel, self.clock, until=lambda subject: self.until.get(subject)
        )
        self.enforcer = Enforcer(
            self.firewall, self.clock, cut=self._cut, interim=self.interim, pauses=(0.01, 0.02),
            on_in_force=lambda report: self.reported.append(report.subject), audit=NEVER,
        )  # fmt: skip

    async def _cut(self, some: object) -> None:
        self.cut += list(some)  # type: ignore[call-overload]

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[None]:
        """While it runs, firewalld takes no rule until it is let."""
        self.firewall.hold()
        async with running(self.enforcer):
            await until(lambda: self.enforcer.state().state == "up", "it is up")
            yield


async def test_a_waiting_ban_drops_packets_and_is_not_reported_in_force() -> None:
    """A wave is dropped while the firewall has no rule of it, and its connections are cut once."""
    scene, wave = Scene(), subjects(100)
    async with scene.held_up():
        for subject in wave:
            scene.enforcer.want(subject)
        await until(lambda: set(scene.cut) == set(wave), "all are cut")
        assert set(scene.kernel.ends) == set(wave)
        assert all(scene.interim.is_dropping(subject) for subject in wave)
        assert (scene.reported, scene.enforcer.state().pending) == ([], 100)
        scene.firewall.flow()
        await until(lambda: len(scene.reported) == 100, "all are in force")
        (last,) = subjects(1, net=1)
        scene.enforcer.want(last)
        await until(lambda: last in scene.cut, "what is asked for after them is cut")
        assert sorted(scene.cut) == sorted([*wave, last])


async def test_it_ends_by_itself_after_a_minute_or_with_the_ban() -> None:
    """The kernel forgets it after a minute and the time of the queue, or with the ban."""
    scene, (some, brief) = Scene(), subjects(2)
    scene.until = {brief: scene.clock.now() + 5}
    async with scene.held_up():
        scene.enforcer.want(brief)
        scene.enforcer.want(some)
        await until(lambda: len(scene.kernel.ends) == 2, "both are kept out")
    now = scene.clock.now()
    assert scene.kernel.ends[brief] == now + 5
    assert now + 60 <= (scene.kernel.ends[some] or 0) <= now + 61


async def test_unbanned_is_let_in() -> None:
    """The end of a ban takes its interim ban, too, also one that is just being put."""
    scene, (one, other) = Scene(), subjects(2)
    async with scene.held_up():
        scene.enforcer.want(one)
        await until(lambda: one in scene.kernel.ends, "it is kept out")
        scene.enforcer.unwant(one)
        scene.enforcer.want(other)
        await asyncio.sleep(0)
        scene.enforcer.unwant(other)
        await until(lambda: not scene.kernel.ends, "no packets are dropped")
        scene.enforcer.want(one)
        await until(lambda: one in scene.kernel.ends, "it is kept out again")


async def test_wanted_again_before_it_is_let_in() -> None:
    """A ban that ends and comes again in one moment keeps its interim ban."""
    scene, (subject,) = Scene(), subjects(1)
    async with scene.held_up():
        scene.enforcer.want(subject)
        await until(lambda: subject in scene.kernel.ends, "it is kept out")
        scene.enforcer.unwant(subject)
        scene.enforcer.want(subject)
        await until(lambda: len(scene.kernel.rounds) == 2, "it is put again")
        assert subject in scene.kernel.ends


async def test_put_again_just_after_its_end() -> None:
    """A kernel that still has a ban, since it counts whole seconds, is given the new end."""
    scene, (subject,) = Scene(), subjects(1)
    async with scene.held_up():
        scene.enforcer.want(subject)
        await until(lambda: subject in scene.kernel.ends, "it is kept out")
        scene.clock.time = (scene.kernel.ends[subject] or 0.0) + 0.5
        scene.enforcer.want(subject)
        await until(lambda: subject in scene.kernel.replaced, "it has a new end")


async def test_a_reload_leaves_no_gap() -> None:
    """Bans that the firewall lost are dropped again at once, all of them together."""
    scene, bans = Scene(), subjects(300)
    async with running(scene.enforcer):
        scene.enforcer.restore(bans)
        await until(lambda: scene.firewall.rules == set(bans), "all are in force")
        scene.clock.time += 3600
        scene.kernel.ends.clear()  # the kernel has forgotten them
        scene.kernel.rounds.clear()
        scene.firewall.hold()
        scene.firewall.lose()
        await until(lambda: set(scene.kernel.ends) == set(bans), "all are kept out")
        assert len(scene.kernel.rounds) == 1
        assert not scene.firewall.rules


async def test_a_new_ban_is_in_the_next_round() -> None:
    """Thousands that wait take many rounds; a new one is put with the next."""
    scene = Scene()
    many = [Subject(f"10.{n // 250}.{n % 250}.1/32") for n in range(2000)]
    (fresh,) = subjects(1)
    scene.interim.add(many)
    task = asyncio.create_task(scene.interim.run(lambda _: None))
    while len(scene.kernel.ends) < 500:  # noqa: ASYNC110 - the end of the first round, exactly
        await asyncio.sleep(0)
    scene.interim.add([fresh])
    await until(lambda: len(scene.kernel.ends) == 2001, "all are kept out")
    rounds = [fresh in round_ for round_ in scene.kernel.rounds]
    assert rounds.index(True) <= 2 < len(rounds)
    task.cancel()


async def test_as_long_as_the_firewall_is_away() -> None:
    """While the firewall is down, interim bans are put again before they end."""
    scene, (one,) = Scene(), subjects(1)
    scene.firewall.down = "gone"
    async with running(scene.enforcer):
        scene.enforcer.want(one)
        await until(lambda: one in scene.kernel.ends, "it is kept out")
        for _ in range(3):
            scene.clock.time += 40
            end = scene.clock.time + 60
            await until(lambda: (scene.kernel.ends[one] or 0) >= end, "it is put again")  # noqa: B023
    assert len(scene.kernel.replaced) == 3
    assert scene.cut == [one]


async def test_what_an_earlier_run_left() -> None:
    """At the start, those who are still banned stay out, and the others are let in."""
    kernel = Kernel()
    (banned, ended) = subjects(2)
    kernel.ends = {banned: None, ended: None}
    scene = Scene(kernel)
    scene.until = {banned: scene.clock.now() + 500, ended: 0.0}
    async with scene.held_up():
        await until(lambda: ended not in kernel.ends, "it is let in")
        await until(lambda: kernel.ends[banned] is not None, "it has an end")


async def test_without_it_bans_wait_for_the_firewall() -> None:
    """Where nft cannot be used, that is said once, and the firewall gets its rules as ever."""
    scene, (one, other) = Scene(), subjects(2)
    scene.kernel.down = "nft is not there"
    with capture_logs() as logs:
        async with running(scene.enforcer):
            scene.enforcer.want(one)
            scene.enforcer.want(other)
            await until(lambda: len(scene.reported) == 2, "both are in force")
            await until(lambda: set(scene.cut) == {one, other}, "both are cut")
            assert scene.interim.state() == "unable: nft is not there"
            scene.kernel.down = ""
            scene.firewall.hold()
            (third,) = subjects(1, net=1)
            scene.enforcer.want(third)
            await until(lambda: scene.interim.is_dropping(third), "it is kept out")
            assert scene.interim.state() == "ready"
    assert [log["event"] for log in logs if "firewall is" not in log["event"]] == [
        "bans wait for firewalld alone: nft is not there",
        "interim bans work again",
    ]


async def test_flush_takes_the_interim_bans_too() -> None:
    """When all bans are to go, no packets are dropped for the rest of a minute."""
    scene, wave = Scene(), subjects(3)
    async with scene.held_up():
        for subject in wave:
            scene.enforcer.want(subject)
        await until(lambda: len(scene.kernel.ends) == 3, "all are kept out")
    scene.firewall.flow()
    await scene.enforcer.flush()
    assert not scene.kernel.ends

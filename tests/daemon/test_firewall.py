"""The firewall manager: it reports each ban once, and notices those that are ineffective."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mailbanned.address import Subject
from mailbanned.config.options import FirewallTable
from mailbanned.daemon.checkpoints import Checkpoints
from mailbanned.daemon.firewall import FirewallManager
from mailbanned.daemon.pipeline import Pipeline
from mailbanned.daemon.writer import PendingChanges
from mailbanned.firewall import BACKENDS
from mailbanned.jails import Engine
from tests.firewall.support import ManualClock, ScriptedFirewall
from tests.jails.support import OTHER, failure, rules
from tests.waiting import until

SUBJECT = Subject("192.0.2.1/32")
TABLE = FirewallTable(backend="nftables", cut_sessions=False)


class Bench:
    """A pipeline and a firewall manager; the backend `nftables` does as the test says."""

    def __init__(self, backend: ScriptedFirewall, *, dry_run: bool = False) -> None:
        self.clock = ManualClock()
        self.backend = backend
        engine = Engine([rules("strict", maxretry=1), rules("lenient", maxretry=5)])
        self.manager = FirewallManager(engine.ledger, self.clock, TABLE, dry_run)
        pending = PendingChanges(Checkpoints({}))
        self.pipeline = Pipeline(engine, self.clock, pending, self.manager, lambda _: None, {})

    def fail(self, at: float, address: str = "192.0.2.1", live: bool = True) -> None:
        self.clock.time = at
        read_monotonic = at if live else None
        engine = self.pipeline.engine
        self.pipeline.apply(engine.observe("log", failure(address), at, at, read_monotonic))

    async def in_force(self) -> None:
        await until(lambda: self.manager.in_force_since(SUBJECT) is not None, "it is in force")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async def run() -> None:
            async with asyncio.TaskGroup() as tasks:
                self.manager.start(tasks)
                await asyncio.Event().wait()

        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    @asynccontextmanager
    async def banned(self) -> AsyncIterator[None]:
        """With a ban that came into force at 100."""
        self.fail(99.0)
        self.clock.time = 100.0
        async with self.running():
            await self.in_force()
            yield


@pytest.fixture
async def backend(monkeypatch: pytest.MonkeyPatch) -> ScriptedFirewall:
    backend = ScriptedFirewall()
    monkeypatch.setitem(BACKENDS, "nftables", lambda _zone, _verdict: backend)
    return backend


@pytest.fixture
async def bench(backend: ScriptedFirewall) -> Bench:
    return Bench(backend)


async def test_an_ineffective_ban_is_counted_and_reported_once(bench: Bench) -> None:
    """Whichever jails it concerns, each failure counts once, and the first one is a warning."""
    async with bench.banned():
        with capture_logs() as logs:
            bench.fail(110.5)
            bench.fail(111.5)
    assert bench.manager.ineffective.document() == {
        "count": 2,
        "last": "192.0.2.1",
        "last_at": "1970-01-01T00:01:51.500000+00:00",
    }
    (warning,) = logs
    assert warning["event"].startswith("192.0.2.1 is banned and still gets through")
    assert warning["banned_s"] == 10


async def test_what_comes_late_makes_no_ban_ineffective(bench: Bench) -> None:
    """What was on its way, what was caught up, and the failures of others do not count."""
    async with bench.banned():
        bench.fail(109.5)
        bench.fail(120.0, live=False)
        bench.fail(120.0, address=OTHER)
    assert bench.manager.ineffective.total == 0


async def test_a_dry_run_has_no_ineffective_bans(backend: ScriptedFirewall) -> None:
    """Where no packet is dropped, every ban would be one."""
    bench = Bench(backend, dry_run=True)
    async with bench.banned():
        bench.fail(120.0)
    assert bench.manager.ineffective.total == 0


async def test_a_ban_that_waits_for_the_firewall_is_not_ineffective(bench: Bench) -> None:
    """Only a ban that is in force can be ineffective; after a loss, only once it is restored."""
    async with bench.banned():
        (lifted,) = bench.pipeline.engine.unban([SUBJECT], 105.0)
        bench.pipeline.on_unbanned(lifted)
        bench.backend.hold()
        bench.fail(130.0)  # banned again, and pending
        bench.fail(150.0)
        assert bench.manager.ineffective.total == 0
        bench.backend.flow()
        await bench.in_force()
        bench.fail(161.0)
        assert bench.manager.ineffective.total == 1
        bench.clock.time = 200.0
        bench.backend.hold()
        bench.backend.lose()
        await until(lambda: bench.manager.in_force_since(SUBJECT) is None, "it is lost")
        bench.fail(220.0)
        bench.backend.flow()
        await bench.in_force()
        bench.fail(229.0)
        assert bench.manager.ineffective.total == 1


async def test_a_ban_is_logged_with_the_time_it_took(bench: Bench) -> None:
    """Once, when its rule is in force: from reading the line to the first dropped packet."""
    with capture_logs() as logs:
        async with bench.banned():
            pass
    (ban,) = (log for log in logs if "Ban" in log["event"])
    assert (ban["event"], ban["ms"]) == ("[strict] Ban 192.0.2.1", 1000.0)
    assert bench.manager.reaction.summary()["count"] == 1


async def test_a_ban_that_waits_during_a_reload_is_logged_after_it(bench: Bench) -> None:
    """A new enforcer reports the bans that the one before had not reported yet."""
    bench.backend.hold()
    with capture_logs() as logs:
        async with bench.running():
            bench.fail(99.0)
            await until(lambda: bench.backend.started, "it is being added")
            await bench.manager.exchange(replace(TABLE, verdict="reject"))
            assert not [log for log in logs if "Ban" in log["event"]]
            bench.backend.flow()
            await bench.in_force()
    assert [log["event"] for log in logs if "Ban" in log["event"]] == ["[strict] Ban 192.0.2.1"]

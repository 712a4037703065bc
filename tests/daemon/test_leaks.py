"""Bans that keep nobody out are noticed: a failure long after the ban took effect is told once."""

from __future__ import annotations

import pytest

from mailbanned.address import Subject
from mailbanned.daemon.pipeline import Core
from mailbanned.daemon.writer import Saver
from mailbanned.jails import Engine
from mailbanned.store import MemoryStore
from tests.jails.support import OTHER, failure, rules

SUBJECT = Subject("192.0.2.1/32")


class Standing:
    """A clock whose time is what the test says."""

    at = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class Bench:
    """A core with a ban that takes effect at 100."""

    def __init__(self) -> None:
        clock = Standing()
        engine = Engine([rules("strict", maxretry=1), rules("lenient", maxretry=5)])
        self.core = Core(engine, clock, Saver(MemoryStore()), ask=lambda _: None)
        self.clock = clock
        self.fail(99.0)
        self.core.in_force(SUBJECT, 100.0)

    def fail(self, at: float, address: str = "192.0.2.1", live: bool = True) -> None:
        self.clock.at = at
        read_monotonic = at if live else None
        engine = self.core.engine
        self.core.apply(engine.observe("log", failure(address), at, at, read_monotonic))


def test_a_leak_is_counted_and_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever jails hear of it, each failure counts once, and the first one is a warning."""
    bench = Bench()
    bench.fail(110.5)
    bench.fail(111.5)
    assert bench.core.leaks.document() == {
        "count": 2, "last": "192.0.2.1", "last_at": "1970-01-01T00:01:51.500000+00:00",
    }  # fmt: skip
    told = capsys.readouterr()
    assert (told.out + told.err).count("192.0.2.1 is banned and still gets through") == 1


def test_what_comes_late_is_no_leak() -> None:
    """What was on its way, what was caught up, others' failures, and all on a dry run."""
    bench = Bench()
    bench.fail(109.5)
    bench.fail(120.0, live=False)
    bench.fail(120.0, address=OTHER)
    bench.core.enforces = False
    bench.fail(120.0)
    assert bench.core.leaks.total == 0


def test_a_ban_that_waits_for_the_firewall_is_no_leak() -> None:
    """Only what the firewall has taken can be ineffective; and the next ban starts anew."""
    bench = Bench()
    (lifted,) = bench.core.engine.unban([SUBJECT], 105.0)
    bench.core.lifted(lifted)
    bench.fail(130.0)  # banned again, and pending
    bench.fail(150.0)
    assert bench.core.leaks.total == 0
    bench.core.in_force(SUBJECT, 150.0)
    bench.fail(161.0)
    assert bench.core.leaks.total == 1

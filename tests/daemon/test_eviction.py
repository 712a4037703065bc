"""More failing addresses than there is room for: it is counted, and told once."""

from __future__ import annotations

import pytest

from mailbanned.clock import SystemClock
from mailbanned.daemon.checkpoints import Checkpoints
from mailbanned.daemon.pipeline import Pipeline
from mailbanned.daemon.writer import PendingChanges
from mailbanned.jails import Engine, SlidingWindows
from tests.daemon.enforcement import NoEnforcement
from tests.jails.support import fail, rules


def test_what_is_forgotten_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The jail that forgets says so the first time, and counts every time."""
    engine = Engine([rules("crowded"), rules("calm", filter="other")])
    engine.jails["crowded"].windows = SlidingWindows(3600.0, 3, max_repeaters=3)
    pipeline = Pipeline(
        engine, SystemClock(), PendingChanges(Checkpoints({})), NoEnforcement(), lambda _: None, {}
    )
    for wave in (0, 10):
        for number in range(wave, wave + 10):
            fail(engine, 1.0, 2.0, address=f"192.0.2.{number}")
        pipeline.changed_windows()
    assert engine.jails["crowded"].windows.evicted == 17
    told = capsys.readouterr()
    assert (told.out + told.err).count("failure table full") == 1
    assert "jail=crowded" in told.out + told.err

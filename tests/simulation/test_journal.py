"""The journal sources, in simulated orders of events: every record comes, and none comes twice."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from mailbanned.sources.journal.entry import JournalCursor
from mailbanned.sources.journal.subscription import JournalSubscription
from tests.simulation import campaign
from tests.simulation.kept import JOURNAL
from tests.simulation.reading import JournalSimulation

_RUNS = 100
_ROOT = Path(__file__).parents[2]


def test_seeds_that_failed_once() -> None:
    """No fault that was found once is there again."""
    assert campaign.failures(JournalSimulation(), JOURNAL) == []


def test_fresh_seeds() -> None:
    """Seeds that were never tried before are fine, too; a failure says how to play it again."""
    first = str(secrets.randbelow(1 << 40))
    command = [sys.executable, "-m", "tests.simulation", "journal", "--seed", first]
    done = subprocess.run(
        [*command, "--runs", str(_RUNS)], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    found = re.fullmatch(r"runs (\d+), records (\d+), lost 0, repeated 0", last)
    assert found is not None
    assert int(found[1]) == _RUNS
    assert int(found[2]) > 20 * _RUNS


def _first_fault(seeds: int = 60) -> str:
    """What is found within some seeds, "" if nothing is."""
    outcomes = (campaign.play(JournalSimulation(), seed) for seed in range(seeds))
    return next((outcome.fault for outcome in outcomes if outcome.fault), "")


def test_a_source_that_believes_in_times_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """If places are compared by time alone, a clock that is set back costs records."""
    monkeypatch.setattr(JournalCursor, "is_after", lambda self, other: self.at_us > other.at_us)
    assert _first_fault()


def test_a_source_that_does_not_pass_over_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """If what an entry has had is not passed over, it comes again."""
    monkeypatch.setattr(JournalSubscription, "rewind", lambda _: None)
    assert "came again" in _first_fault()


def test_every_kind_of_move_happens() -> None:
    """All that may happen does happen within a few seeds."""
    plays = [campaign.play(JournalSimulation(), seed) for seed in range(40)]
    said = "\n".join(step for outcome in plays for step in outcome.steps)
    for words in (
        "START", "STOP", "KILL", "ends with -9", "Broken pipe", "is refused", "is asked",
        "is started again", "new series", "vacuumed", "moves, here", "moves, there",
        "not on the disk", "clock is set by -900", "stick", "heedless", "sweep", "full", "is slow",
        "is stopped", "--cursor", "--since", "hangs",
    ):  # fmt: skip
        assert words in said

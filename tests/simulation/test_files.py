"""The file source in a simulated world: no line is lost and none comes twice, whatever happens."""

from __future__ import annotations

import os
import random
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from mailbanned.sources.file.checkpoint import Head, SavedCheckpoints
from tests.simulation import campaign
from tests.simulation.driver import FileSimulation
from tests.simulation.kept import FILES
from tests.simulation.moves import moves, scenario
from tests.simulation.shrink import shortest
from tests.simulation.simulation import Move, Outcome

_RUNS = 600
_ROOT = Path(__file__).parents[2]


def play(seed: int) -> Outcome:
    """A run of the file source."""
    return campaign.play(FileSimulation(), seed)


@pytest.mark.parametrize("seed", FILES)
def test_a_seed_that_has_failed(seed: int) -> None:
    """What was mended stays mended."""
    assert play(seed).fault == ""


def test_fresh_seeds() -> None:
    """Seeds that were never tried before are fine, too; a failure says how to play it again."""
    first = secrets.randbelow(1 << 40)
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", str(first), "--runs", str(_RUNS)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.fullmatch(r"runs (\d+), lines (\d+), lost 0, repeated 0", _last_line(done.stdout))
    assert found is not None
    assert int(found[1]) == _RUNS
    assert int(found[2]) > 20 * _RUNS


def _last_line(text: str) -> str:
    return text.splitlines()[-1]


def test_a_seed_is_a_run() -> None:
    """In another process with other hashes, a seed does the very same things."""
    code = "from tests.simulation.test_files import play; print(play({}).steps)"
    for seed in (1, 2, 3):
        said = [
            subprocess.run(
                [sys.executable, "-c", code.format(seed)],
                env={**os.environ, "PYTHONHASHSEED": hashes},
                cwd=_ROOT,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for hashes in ("1", "2")
        ]
        assert said[0] == said[1] == f"{play(seed).steps}\n"


def _first_failure(seeds: int) -> int | None:
    return next((seed for seed in range(seeds) if play(seed).fault), None)


def test_a_source_that_forgets_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """If closed files are forgotten, lines come twice, and the shortest way to that is shown."""
    monkeypatch.setattr(SavedCheckpoints, "add", lambda *_: None)
    seed = _first_failure(100)
    assert seed is not None
    failure = campaign.shorten(FileSimulation(), seed)
    assert failure.fault
    assert 0 < len(failure.steps) < len(play(seed).steps)
    assert f"./dev simulate files --seed {seed}" in failure.report()


def test_a_source_that_believes_names_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """If files are not known again by how they begin, lines come twice."""
    monkeypatch.setattr(Head, "fits", lambda *_: False)
    assert _first_failure(100) is not None


def test_a_source_that_looks_for_no_copies_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """If rotated files are never looked into, lines are lost."""
    monkeypatch.setattr("mailbanned.sources.file.candidates.find_rotated", lambda *_: [])
    assert _first_failure(100) is not None


def test_every_kind_of_move_happens() -> None:
    """All that may happen to logs does happen within a few seeds."""
    said = "\n".join(step for seed in range(60) for step in play(seed).steps)
    for words in (
        "START", "STOP", "KILL", "bytes to", "rename mail.log to", "FIFO", "has done with",
        "is its copy", "copy is in the place", "is emptied, as", "deleted, as it was read",
        "half of", "as it is packed", "may not be opened", "may be opened", "the link leads to",
        "folder is gone", "folder is back", "power failure",
    ):  # fmt: skip
        assert words in said


def test_shortest() -> None:
    """What the failure needs is left, in its order, and made as plain as it can be."""
    chance = random.Random(1)
    needed = [Move("write", 1), Move("rotate", 2), Move("kill", 3)]
    others = [Move("run", chance.randrange(100), 0, 3) for _ in range(60)]
    mixed = [*others[:20], needed[0], *others[20:50], needed[1], *others[50:], needed[2]]

    def fails(candidate: list[Move]) -> bool:
        kept = [move for move in candidate if move.kind != "run"]
        return [move.kind for move in kept] == ["write", "rotate", "kill"]

    assert [move.kind for move in shortest(mixed, fails)] == ["write", "rotate", "kill"]  # type: ignore[arg-type]


def test_scenarios_differ() -> None:
    """Seeds cover the ways of naming, file systems and servers."""
    scenarios = [scenario(seed) for seed in range(200)]
    assert {s.naming for s in scenarios} == {"number", "date", "epoch", "inside", "link"}
    assert {(s.reused, s.append) for s in scenarios} == {(a, b) for a in (0, 1) for b in (0, 1)}
    assert len({tuple(moves(seed)) for seed in range(50)}) == 50

"""The loop that mutates blindly: what fails is kept, and told as a line for a test."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from mailbanned.filters import FilterSet
from mailbanned.model import Failure
from tests.e2e.fuzz import lines, plain
from tests.e2e.fuzz.__main__ import told
from tests.e2e.fuzz.pieces import LINES
from tests.e2e.fuzz.targets import TARGETS, Target


def test_what_fails_is_a_line_for_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that breaks a check ends the run, and stands in the report as a test needs it."""
    tried: list[bytes] = []

    def check(data: bytes) -> None:
        tried.append(data)
        assert len(tried) < 10, "a bug"

    target = Target(lambda: nullcontext(check), LINES, "check({data!r})")
    monkeypatch.setitem(TARGETS, "broken", target)
    with pytest.raises(AssertionError, match="a bug"):
        plain.main("broken", str(tmp_path), "30", "1")
    assert f"    check({tried[-1]!r})\n" in told("broken", tmp_path)


def test_a_run_without_a_find(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that finds nothing says how much it has tried."""
    plain.main("lines", str(tmp_path), "0.5", "1")
    assert capsys.readouterr().out.endswith(" inputs, none of them fails\n")
    assert told("lines", tmp_path) == "nothing is found in lines"


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - {"requests"}))
def test_every_seed_passes(name: str) -> None:
    """What a run begins with is no find."""
    with TARGETS[name].open() as check:
        for seed in TARGETS[name].seeds:
            check(seed)


def test_a_made_up_address_is_noticed() -> None:
    """The check of blocks is no idle one: a finding of an address that is not there fails it."""
    made_up = Failure(1, None, "198.51.100.99", None, "sshd/failed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilterSet, "read", lambda *_: iter([made_up]))
        with pytest.raises(AssertionError, match="is made up"):
            lines.check_block(b"one line")

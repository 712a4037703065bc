"""Aims: how they are written, and how noisy measurements are judged by them."""

from __future__ import annotations

import pytest

from tests.bench.aims import Aim, Kind
from tests.bench.table import Row, left_out, measured, spread


@pytest.mark.parametrize(
    ("text", "aim"),
    [
        ("<= 1.3", Aim("<=", 1.3, "")),
        ("< 150 MB", Aim("<", 150.0, "MB")),
        (">= 1,000,000/s", Aim(">=", 1e6, "/s")),
        ("<= 0.5 % CPU", Aim("<=", 0.5, "% CPU")),
        ("> 8 times", Aim(">", 8.0, "times")),
    ],
)
def test_parse(text: str, aim: Aim) -> None:
    """An aim is a comparison, a bound and a unit."""
    assert Aim.parse(text) == aim


@pytest.mark.parametrize("text", ["", "1.3", "about 1.3", "<= ", "=< 1", "<= 1 or 2"])
def test_no_aim(text: str) -> None:
    """Anything else is an error, not an aim that everything reaches."""
    with pytest.raises(ValueError, match="is no aim"):
        Aim.parse(text)


@pytest.mark.parametrize(
    ("comparison", "below", "same", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_met(comparison: str, below: bool, same: bool, above: bool) -> None:
    """A bound is compared as it is written."""
    aim = Aim.parse(f"{comparison} 2")
    assert (aim.met(1.99), aim.met(2.0), aim.met(2.01)) == (below, same, above)


@pytest.mark.parametrize(
    ("numbers", "decided"),
    [
        ([1.0], True),
        ([1.4], None),
        ([1.4, 1.0], None),
        ([1.4, 1.5], False),
        ([1.4, 1.0, 1.2], True),
        ([1.4, 1.0, 1.5], False),
    ],
)
def test_median(numbers: list[float], decided: bool | None) -> None:
    """The first measurement may reach an aim; after a miss the median of three decides."""
    assert Aim.parse("<= 1.3").decided(numbers) is decided


def test_kinds() -> None:
    """Ratios and sizes are checked; times, rates and shares of a core are not."""
    units = {"": True, "times": True, "MB": True, "ms": False, "s": False, "/s": False}
    assert {unit: Row("", "", unit=unit).kind.checked for unit in units} == units
    assert Row("", "", unit="% CPU").kind is Kind.RATE


def test_rows() -> None:
    """A row is spelled as its unit demands, and its aim must be in the same unit."""
    assert measured("a", "A", 1234.567, "/s").value == "1,235/s"
    assert measured("a", "A", 1.234, "").value == "1.23"
    assert measured("a", "A", 12.34, "ms").value == "12.3 ms"
    assert spread([1.0, 2.5], "ms", 1) == "1.0 to 2.5 ms in 2 runs"
    with pytest.raises(ValueError, match="is in 'ms', and its aim is '<= 1 s'"):
        measured("a", "A", 1.0, "ms", "<= 1 s")


def test_row_met() -> None:
    """A row knows whether it reaches its aim; without a number it does not say."""
    assert measured("a", "A", 2.0, "", "<= 1.3").met is False
    assert measured("a", "A", 1.3, "", "<= 1.3").met is True
    assert measured("a", "A", 1.3, "").met is None
    assert left_out("a", "A", "", "<= 1.3", "no such program").met is None

"""Times and durations as text."""

from __future__ import annotations

import pytest

from mailbanned.clock import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "permanent"),
        (0.0, "0s"),
        (0.6, "1s"),
        (90.0, "1m30s"),
        (3600.0, "1h"),
        (129_600.0, "1d12h"),
        (90_061.0, "1d1h"),
        (604_800.0, "7d"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float | None, text: str) -> None:
    """The two largest units of a duration, in the form that the configuration takes."""
    assert format_duration(seconds) == text

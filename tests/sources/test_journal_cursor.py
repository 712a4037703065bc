"""Places in the journal: as marks, and which comes first."""

from __future__ import annotations

import pytest

from mailbanned.sources.journal.entry import JournalCursor

A5, A10 = JournalCursor(100, "s=a;i=5;b=1;t=64"), JournalCursor(90, "s=a;i=10;b=1;t=5a")
B1 = JournalCursor(95, "s=b;i=1;b=1;t=5f")


@pytest.mark.parametrize("place", [A5, B1, JournalCursor(1_777_610_588_123_456)])
def test_a_mark_is_read_as_it_was_written(place: JournalCursor) -> None:
    """A place, with or without a cursor, survives as text."""
    assert JournalCursor.parse(place.text) == place


@pytest.mark.parametrize(
    "text",
    ["", "s=a;i=5", "@ s=a", "@-1 s=a", "@1s=a", "@1 --since=now", "@1 s=a b", "@1 s=a\n",
     "@1 \0", "@999999999999999999 s=a"],
)  # fmt: skip
def test_what_is_no_mark(text: str) -> None:
    """Anything else is none; above all nothing that journalctl would take for an option."""
    assert JournalCursor.parse(text) is None


def test_records_of_one_series_go_by_their_numbers() -> None:
    """Their order holds even where the clock was set back; numbers are hexadecimal."""
    assert A10.is_after(A5)
    assert not A5.is_after(A10)
    assert JournalCursor(1, "s=a;i=a").is_after(JournalCursor(1, "s=a;i=9"))
    assert not A5.is_after(A5)


def test_records_of_one_boot_go_by_the_clock_that_never_jumps() -> None:
    """Where a series ends and another begins, the clock may be set back in between."""
    before, after = (
        JournalCursor(500, "s=a;i=7;b=c;m=ff;t=1f4"),
        JournalCursor(90, "s=b;i=1;b=c;m=100;t=5a"),
    )
    assert after.is_after(before)
    assert not before.is_after(after)
    other_boot = JournalCursor(90, "s=b;i=1;b=d;m=100;t=5a")
    assert before.is_after(other_boot)


@pytest.mark.parametrize("other", [B1, JournalCursor(95), JournalCursor(95, "x=1")])
def test_all_others_go_by_time(other: JournalCursor) -> None:
    """Another series, a mere moment, and a cursor that looks unlike any: the time decides."""
    assert A5.is_after(other)
    assert other.is_after(A10)
    assert not other.is_after(A5)

"""What a replay counts: names that came often, and the lines of a subject."""

from __future__ import annotations

from mailbanned.address import Subject
from mailbanned.replay.stats import LineCounter, TopNames


def test_rare_names_make_room() -> None:
    """Beyond the limit, names that came once are dropped, but stay counted as distinct."""
    names = TopNames(max_names=3)
    names.add(["often", "rare", "often"])
    names.add(["twice", "twice", "new"])
    assert names.document() == {"distinct": 4, "most": {"often": 2, "twice": 2}}
    names.add(["new"])
    assert names.document()["most"]["new"] == 1


def test_frequent_names_stay_beyond_the_limit() -> None:
    """Names that came more than once are never dropped."""
    names = TopNames(max_names=2)
    for _ in range(2):
        names.add(["a", "b", "c", "d"] * 2)
    assert names.document() == {"distinct": 4, "most": {"a": 4, "b": 4, "c": 4, "d": 4}}


def test_a_line_counts_for_every_subject_that_it_may_be_counted_as() -> None:
    """An IPv6 address counts for the networks of the jails and for itself, IPv4 for itself."""
    lines = LineCounter([64, 56])
    for address in ("2001:db8::1", "2001:db8::2", "192.0.2.1"):
        lines.add(address)
    subjects = ("2001:db8::/56", "2001:db8::/64", "2001:db8::1/128", "192.0.2.1/32", "192.0.2.2/32")
    assert [lines.lines(Subject(subject)) for subject in subjects] == [2, 2, 1, 1, 0]

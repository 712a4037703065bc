"""Filter and problems: a filter's own samples tell when it no longer does what it promises."""

from __future__ import annotations

import pytest

from mailbanned.filters import Filter, Pattern, Sample, run_samples

FIRST = Pattern("own", "first", literal="from", match="a <USER> from <ADDR>")
SECOND = Pattern("own", "second", literal="from", match="<USER> from <ADDR>")
HIT = b"May  1 06:43:08 mx a bob from 203.0.113.5"


def samples(*given: Sample, patterns: tuple[Pattern, ...] = (FIRST,)) -> list[str]:
    return [failure.text for failure in run_samples(Filter("own", patterns, samples=given))]


def test_right_samples_say_nothing() -> None:
    """A hit that reports its address and user, and a miss that matches nothing, are all right."""
    hit = Sample(HIT, "failure", "203.0.113.5", "bob")
    assert samples(hit, Sample(b"May  1 06:43:08 mx b", "")) == []


@pytest.mark.parametrize(
    ("sample", "complaint"),
    [
        (Sample(b"May  1 06:43:08 mx b", "failure", "203.0.113.5"), "hit does not match"),
        (Sample(HIT, ""), "miss matches (own/first, 203.0.113.5)"),
        (
            Sample(HIT, "failure", "203.0.113.6", "bob"),
            "hit reports 203.0.113.5, user 'bob'",
        ),
        (Sample(HIT, "failure", "203.0.113.5"), "instead of 203.0.113.5, user None"),
        (Sample(HIT, "failure", "203.0.113.5", "bob", 2), "reports 1 attempts instead of 2"),
    ],
)
def test_a_wrong_sample_is_reported(sample: Sample, complaint: str) -> None:
    """Each way in which a sample and its filter differ has its own sentence."""
    [problem] = samples(sample)
    assert complaint in problem


def test_a_literal_that_its_hits_lack_is_reported() -> None:
    """A pattern whose literal is missing in a line would never be tried on it."""
    blind = Pattern("own", "blind", literal="FROM", match="a <USER> from <ADDR>")
    [problem] = samples(Sample(HIT, "failure", "203.0.113.5", "bob"), patterns=(blind,))
    assert "a literal of own/blind" in problem


def test_the_first_pattern_that_fits_reports() -> None:
    """Patterns are tried in order, and one of them speaks for the line."""
    hit = Sample(HIT, "failure", "203.0.113.5", "bob")
    assert samples(hit, patterns=(FIRST, SECOND)) == []
    [problem] = samples(hit, patterns=(SECOND, FIRST))
    assert "user 'a bob' instead" in problem


IGNORED = Pattern("own", "ignored", match="a root from <ADDR>", kind="ignore")


def test_an_ignored_line_is_no_failure() -> None:
    """An ignore pattern that comes first keeps the line from the pattern after it."""
    root = b"May  1 06:43:08 mx a root from 203.0.113.5"
    assert samples(Sample(root, ""), patterns=(IGNORED, FIRST)) == []
    assert samples(Sample(root, "ignore", "203.0.113.5"), patterns=(IGNORED, FIRST)) == []
    [problem] = samples(Sample(root, "failure", "203.0.113.5", "root"), patterns=(IGNORED, FIRST))
    assert "hit is ignore (own/ignored) instead of failure" in problem


def test_a_hit_that_does_not_match_shows_where_it_stops() -> None:
    """The pattern that comes furthest is named, and the place in the line is shown."""
    missed = Sample(b"May  1 06:43:08 mx a bob of 203.0.113.5", "failure", "203.0.113.5", "bob")
    [problem] = run_samples(Filter("own", (IGNORED, FIRST), samples=(missed,)))
    assert problem.shown.startswith("pattern first comes furthest:\na bob of 203.0.113.5\n")
    assert "from" in problem.shown


def test_a_cut_up_line_is_joined_first() -> None:
    """A sample may be the several lines that a container runtime made of one."""
    cut = b"2026-05-01T06:43:08Z stdout P a bo\n2026-05-01T06:43:08Z stdout F b from 203.0.113.5"
    assert samples(Sample(cut, "failure", "203.0.113.5", "bob")) == []

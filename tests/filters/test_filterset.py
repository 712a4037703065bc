"""FilterSet: what it finds in a block is what reading line by line would find."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbanned.filters import Filter, FilterSet, FilterStats, Ignored, Pattern
from mailbanned.logformat.messages import join_parts
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Line, LogEvent
from tests.filters.shipped import NAMES, NOW, filter_set, shipped

LONGEST = 8192


def bad(name: str, word: str) -> Filter:
    match = f"{word} <USER> from <ADDR>"
    return Filter(name, (Pattern(name, "one", literal=f"{word} ", match=match),))


BAD, WORSE, LOST = bad("bad", "bad"), bad("worse", "worse"), bad("lost", "lost bad")


def run(block: bytes, *filters: Filter, first_line: int = 1) -> list[tuple[int, str, str | None]]:
    found = FilterSet(filters or [BAD], LineParser(UTC)).read(block, NOW, first_line)
    return [(failure.number, str(failure.address), failure.user) for failure in found]


def test_lines_are_numbered_from_the_first() -> None:
    """A failure carries its line's number, counted in LFs from the block's first line."""
    block = b"\n\nbad a from 203.0.113.5\nx\nbad b from 203.0.113.6\n"
    assert run(block) == [(3, "203.0.113.5", "a"), (5, "203.0.113.6", "b")]
    assert [number for number, *_ in run(block, first_line=101)] == [103, 105]


def test_each_filter_reports_a_line_once_in_line_order() -> None:
    """Failures come in line order, and several filters may report the same line."""
    anything = Filter(
        "any",
        (
            Pattern("any", "bad", literal="bad ", match="bad <USER> from <ADDR>"),
            Pattern("any", "all", literal=" from ", match="<USER> from <ADDR>"),
        ),
    )
    block = b"worse a from 203.0.113.5\nbad b from 203.0.113.6\nworse c from 203.0.113.7\n"
    assert run(block, WORSE, BAD, anything) == [
        (1, "203.0.113.5", "a"),
        (1, "203.0.113.5", "worse a"),
        (2, "203.0.113.6", "b"),
        (2, "203.0.113.6", "b"),
        (3, "203.0.113.7", "c"),
        (3, "203.0.113.7", "worse c"),
    ]


def test_a_literal_within_another_finds_for_both() -> None:
    """A filter whose literal holds another filter's literal still sees its lines."""
    block = b"lost bad a from 203.0.113.5\nbad b from 203.0.113.6\n"
    assert run(block, BAD, LOST) == [(1, "203.0.113.5", "a"), (2, "203.0.113.6", "b")]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"", []),
        (b"\n", []),
        (b"bad a from 203.0.113.5", [(1, "203.0.113.5", "a")]),
        (b"bad a from 203.0.113.5\r\nbad b from 203.0.113.6\r\n",
         [(1, "203.0.113.5", "a"), (2, "203.0.113.6", "b")]),
        (b"\0\0\0\0bad a from 203.0.113.5\nbad b from 203.0.113.6\n", [(2, "203.0.113.6", "b")]),
        (b"bad a\0b from 203.0.113.5\n", [(1, "203.0.113.5", "a\0b")]),
        (b"bad \xff\xc3( from 203.0.113.5\n", [(1, "203.0.113.5", "\ufffd\ufffd(")]),
        ("bad a\u2028bad b from 203.0.113.6 from 203.0.113.5\n".encode(),
         [(1, "203.0.113.5", "a\u2028bad b from 203.0.113.6")]),
        ("bad a\u0085\u2029\x0b\x0c\x1c from 203.0.113.5\nbad b from 203.0.113.6\n".encode(),
         [(1, "203.0.113.5", "a\u0085\u2029\x0b\x0c\x1c"), (2, "203.0.113.6", "b")]),
        (b"bad a\rbad b from 203.0.113.6\rbad c from 203.0.113.5\n",
         [(1, "203.0.113.5", "a\rbad b from 203.0.113.6\rbad c")]),
        (b"x\rbad a from 203.0.113.5\n", []),
        (b"bad a bad b bad c from 203.0.113.5\n", [(1, "203.0.113.5", "a bad b bad c")]),
    ],
)  # fmt: skip
def test_only_lf_ends_a_line(
    block: bytes, expected: list[tuple[int, str, str | None]]
) -> None:  # fmt: skip
    """CRLF loses its CR; NUL, broken UTF-8, U+2028 and their like are bytes like any other."""
    assert run(block) == expected


def test_an_overlong_line_is_passed_over_and_counted() -> None:
    """A line over 8 KiB is no failure but a count; its neighbours keep their numbers."""
    fits = b"bad " + b"x" * (LONGEST - 21) + b" from 203.0.113.5"
    assert len(fits) == LONGEST
    filters = FilterSet([BAD], LineParser(UTC))
    block = b"\n".join([fits, b"x" + fits, b"bad " * 262144, b"bad a from 203.0.113.6"])
    found = [(f.number, str(f.address)) for f in filters.read(block, NOW)]
    assert found == [(1, "203.0.113.5"), (4, "203.0.113.6")]
    assert filters.stats.overlong == 2


SUSPECT = Filter(
    "gate",
    (
        Pattern("gate", "night", match="gate closed for the night", kind="ignore"),
        Pattern("gate", "refused", match="gate closed to <USER> from <ADDR>"),
        Pattern("gate", "opened", match="gate opened to <USER> from <ADDR>", kind="success"),
    ),
    suspects=(b"gate closed",),
)


def test_what_looks_like_a_failure_and_fits_nothing_is_noted() -> None:
    """It is counted and the newest kept; failures, ignored lines and other lines are not."""
    stats, noted = FilterStats(), list[Line]()
    filters = FilterSet([SUSPECT, BAD], LineParser(UTC), stats)
    block = (
        b"gate closed for the night\ngate closed to bob from 203.0.113.5\ngate\n"
        b"May  1 06:43:08 mx gate closed to bob\ngate closed: bad a from 203.0.113.5\n"
        b"gate closed in anger\nbad gate closed from 203.0.113.5\n"
    )
    assert len(list(filters.read(block, NOW, on_unmatched=noted.append))) == 2
    assert [line.number for line in noted] == [4, 5, 6]
    assert (stats.unmatched, stats.unmatched_line) == (3, b"gate closed in anger")
    assert stats.unmatched_at == NOW


def test_every_pattern_counts_its_hits() -> None:
    """By its rule, with the time of the last line; patterns without hits are listed as well."""
    stats = FilterStats()
    block = b"May  1 06:43:08 mx gate closed to bob from 203.0.113.5\n" * 2
    for filters in (FilterSet([SUSPECT], LineParser(UTC), stats) for _ in range(2)):
        list(filters.read(block + b"gate opened to bob from 203.0.113.5\n", NOW))
    counts = {rule: hits.count for rule, hits in stats.patterns.items()}
    assert counts == {"gate/night": 0, "gate/refused": 4, "gate/opened": 2}
    assert stats.patterns["gate/refused"].last_at == Line(*LineParser(UTC).parse(block, 1, NOW)).at
    assert stats.patterns["gate/opened"].last_at == NOW


def test_patterns_share_what_is_searched_for() -> None:
    """A text that is searched for anyway serves all patterns that contain it."""
    assert FilterSet([SUSPECT], LineParser(UTC)).searched == (
        b"gate closed",
        b"gate opened to ",
    )


def line_by_line(block: bytes, names: tuple[str, ...]) -> Iterator[LogEvent]:
    """What every filter says to every line, with no prefilter in between."""
    parser = LineParser(UTC)
    for number, raw in enumerate(join_parts(block).split(b"\n"), start=1):
        if len(raw) <= LONGEST:
            line = Line(*parser.parse(raw, number, NOW))
            found = (shipped(name).match(line) for name in names)
            yield from (
                finding for finding in found if finding and not isinstance(finding, Ignored)
            )


SAMPLES = [sample.line for name in NAMES for sample in shipped(name).samples]
PIECES = sorted({piece for line in SAMPLES for piece in line.split(b" ")})
BLOCKS = st.lists(
    st.one_of(
        st.sampled_from(SAMPLES),
        st.lists(st.sampled_from(PIECES), max_size=12).map(b" ".join),
        st.binary(max_size=30),
        st.sampled_from([b"", b"\r", b"\0\0", b": reject: " * 900]),
    ),
    max_size=12,
).map(b"\n".join)


@given(BLOCKS)
def test_a_block_is_read_as_its_lines_are(block: bytes) -> None:
    """In any block, the prefilter finds just what asking each filter for each line finds."""
    assert list(filter_set(*NAMES).read(join_parts(block), NOW)) == list(line_by_line(block, NAMES))


def test_a_part_of_a_container_line_is_no_line() -> None:
    """A runtime cuts long messages where the sender likes: they count only when they are whole."""
    stamp = b"2026-05-01T06:43:08.1Z stdout "
    head, tail = b"bad x", b"bad a from 198.51.100.7 from 203.0.113.5\n"
    assert run(stamp + b"P " + tail) == []
    whole = stamp + b"P " + head + b"\n" + stamp + b"F " + tail
    assert run(join_parts(whole)) == [(2, "203.0.113.5", "xbad a from 198.51.100.7")]

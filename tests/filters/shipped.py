"""The filters that ship with the program, as these tests use them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from mailbanned.config.filterfile import load_filter
from mailbanned.filters import Filter, FilterSet
from mailbanned.logformat.messages import join_parts
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Failure

FOLDER = Path(__file__).parents[2] / "config" / "filters"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()


@cache
def shipped(name: str) -> Filter:
    """The shipped filter of that name, its samples run."""
    loaded, found = load_filter(name, [FOLDER], "tests", name)
    assert not found, "\n".join(str(problem) for problem in found)
    assert loaded is not None
    return loaded


@cache
def filter_set(*names: str) -> FilterSet:
    """The named filters (all, if none is named) as they work on one source."""
    return FilterSet([shipped(name) for name in names or NAMES], LineParser(UTC))


def failures(block: bytes, *names: str) -> list[Failure]:
    """What the named filters (all, if none is named) find in a block."""
    found = filter_set(*names).read(join_parts(block), NOW)
    return [failure for failure in found if isinstance(failure, Failure)]


def found(line: bytes, *names: str) -> dict[str, str]:
    """The address that each filter reports for the line, by the filter's name."""
    return {f.pattern.split("/")[0]: f.address for f in failures(line + b"\n", *names)}

"""filters/NAME.toml -> Filter. One file is one filter; loading it runs its samples.

The `filters` folder beside the main configuration file takes precedence over the shipped one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from mailbanned.config.config import Problem
from mailbanned.config.errors import read_toml, validate
from mailbanned.configtypes import Parsed, Table
from mailbanned.filters import Filter, Pattern, PatternError, Sample, run_samples

Loaded = tuple[Filter | None, list[Problem]]
Kind = Literal["failure", "ignore", "success", "outage"]

_PATTERN_NAME = re.compile(r"[a-z0-9-]{1,40}")


def _parse_pattern_name(value: Any) -> str:
    if not isinstance(value, str) or not _PATTERN_NAME.fullmatch(value):
        raise ValueError(
            "is not a name of a pattern; use at most 40 lower-case letters, digits and '-'"
        )
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternTable(Table):
    """[[patterns]]: one kind of line."""

    name: Annotated[str, Parsed(_parse_pattern_name, "text")]
    match: str
    literal: str = ""
    kind: Kind = "failure"
    summary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HitTable(Table):
    """[[hits]]: a sample line that the filter matches, and what it reports."""

    line: str
    address: str | None = None
    user: str | None = None
    kind: Kind = "failure"
    times: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissTable(Table):
    """[[misses]]: a sample line that the filter does not match."""

    line: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterFile(Table):
    """The whole file."""

    description: str
    tag: str
    outage: bool = False
    suspects: list[Annotated[str, Field(min_length=4)]] = field(default_factory=list)
    patterns: Annotated[list[PatternTable], Field(min_length=1)]
    hits: Annotated[list[HitTable], Field(min_length=1)]
    misses: list[MissTable] = field(default_factory=list)


def load_filter(name: str, folders: list[Path], file: str, key: str) -> Loaded:
    """The filter of that name from the first folder that has it, and all that is wrong with it.

    file, key: where the filter is named, for the problem that it does not exist.
    """
    for folder in folders:
        path = folder / f"{name}.toml"
        try:
            path.stat()
        except FileNotFoundError:
            continue
        except OSError:
            pass  # _read reports it
        return _read(name, path)
    known = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
    remedy = f"known are {', '.join(known)}; your own would be {folders[0] / name}.toml"
    return None, [Problem(file, key, f"there is no filter {name!r}", remedy)]


def _read(name: str, path: Path) -> Loaded:
    values, errors = read_toml(path)
    if values is None:
        return None, errors
    table, errors = validate(FilterFile, values, str(path))
    if table is None:
        return None, errors
    patterns, errors = _patterns(name, table, str(path))
    for number, hit in enumerate(table.hits):
        if hit.address is None and hit.kind in ("failure", "success"):
            errors.append(Problem(str(path), f"hits.{number}.address", "is missing", "add it"))
    if errors:
        return None, errors
    hits = [Sample(h.line.encode(), h.kind, h.address, h.user, h.times) for h in table.hits]
    misses = [Sample(miss.line.encode(), "") for miss in table.misses]
    suspects = tuple(text.encode() for text in table.suspects)
    samples = (*hits, *misses)
    loaded = Filter(name, tuple(patterns), table.description, samples, suspects, table.outage)
    remedy = "correct the pattern, or the sample if it is wrong"
    return loaded, [
        Problem(str(path), "samples", failure.text, remedy, failure.shown)
        for failure in run_samples(loaded)
    ]


def _patterns(name: str, table: FilterFile, file: str) -> tuple[list[Pattern], list[Problem]]:
    """The compiled patterns of a filter, and what is wrong with the others."""
    patterns, errors = [], []
    for row in table.patterns:
        try:
            pattern = Pattern(
                name,
                row.name,
                match=row.match,
                tag=table.tag,
                literal=row.literal,
                kind=row.kind,
                summary=row.summary,
            )
        except PatternError as error:
            remedy = "correct the pattern (RE2 syntax)"
            errors.append(Problem(file, f"patterns.{row.name}", str(error), remedy))
        else:
            patterns.append(pattern)
    return patterns, errors

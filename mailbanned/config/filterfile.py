"""filters/NAME.toml -> Filter. One file is one filter; its samples are run whenever it is loaded.

Own filters stand in the `filters` folder beside the main configuration file and go before the
shipped ones of the same name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mailbanned.config.config import Problem
from mailbanned.config.errors import Strict, read_toml, validate
from mailbanned.filters import Filter, Pattern, PatternError, Sample, problems

Loaded = tuple[Filter | None, list[Problem]]


Kind = Literal["failure", "known", "success", "outage"]


class PatternTable(Strict):
    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    match: str
    literal: str = ""
    kind: Kind = "failure"
    summary: bool = False


class HitTable(Strict):
    line: str
    address: str | None = None
    user: str | None = None
    kind: Kind = "failure"
    times: int | None = None


class MissTable(Strict):
    line: str
    why: str = ""


class FilterFile(Strict):
    description: str
    tag: str
    outage: bool = False
    suspects: list[Annotated[str, Field(min_length=4)]] = Field(default_factory=list)
    patterns: list[PatternTable] = Field(min_length=1)
    hits: list[HitTable] = Field(min_length=1)
    misses: list[MissTable] = Field(default_factory=list)


def load_filter(name: str, folders: list[Path], file: str, key: str) -> Loaded:
    """The filter of that name from the first folder that has it, and all that is wrong with it.

    file, key: where the filter is named, for the problem that there is none.
    """
    for folder in folders:
        path = folder / f"{name}.toml"
        try:
            path.stat()
        except FileNotFoundError:
            continue
        except OSError:
            pass  # reading it says what is wrong
        return _read(name, path)
    known = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
    remedy = f"known are {', '.join(known)}; an own one is {folders[0] / name}.toml"
    return None, [Problem(file, key, f"there is no filter {name!r}", remedy)]


def _read(name: str, path: Path) -> Loaded:
    tables, found = read_toml(path)
    if tables is None:
        return None, found
    table, found = validate(FilterFile, tables, str(path))
    if table is None:
        return None, found
    patterns = []
    for p in table.patterns:
        try:
            patterns.append(
                Pattern(name, p.name, match=p.match, tag=table.tag, literal=p.literal,
                        kind=p.kind, summary=p.summary)
            )  # fmt: skip
        except PatternError as error:
            found.append(
                Problem(
                    str(path), f"patterns.{p.name}", str(error), "mend the pattern (RE2 syntax)"
                )
            )
    for number, hit in enumerate(table.hits):
        if hit.address is None and hit.kind in ("failure", "success"):
            found.append(Problem(str(path), f"hits.{number}.address", "is missing", "add it"))
    if found:
        return None, found
    hits = [Sample(h.line.encode(), h.kind, h.address, h.user, h.times) for h in table.hits]
    misses = [Sample(m.line.encode(), "") for m in table.misses]
    suspects = tuple(text.encode() for text in table.suspects)
    samples = (*hits, *misses)
    loaded = Filter(name, tuple(patterns), table.description, samples, suspects, table.outage)
    remedy = "mend the pattern, or the sample if it is wrong"
    wrong = problems(loaded)
    return loaded, [Problem(str(path), "samples", one.text, remedy, one.shown) for one in wrong]

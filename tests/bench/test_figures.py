"""The figures that the documents quote."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.bench.aims import UNITS, Aim
from tests.bench.checkout import TOP
from tests.bench.figures import Claim, Measured, Quote, problems
from tests.bench.quoted import ALLOWED, CLAIMS, QUOTED
from tests.bench.registry import BENCHMARKS

RESULTS = TOP / "docs" / "benchmarks" / "results.json"


def read_results(path: Path = RESULTS) -> dict[str, Measured]:
    """The figures of results.json by their keys, each of which stands there once."""
    figures = json.loads(path.read_text())["figures"]
    measured = {f["key"]: Measured(f["number"], f["unit"]) for f in figures}
    assert len(measured) == len(figures)
    return measured


def found(text: str, *quotes: Quote, claims: tuple[Claim, ...] = ()) -> list[str]:
    """What is wrong with a text where a.b is 12.4 ms and a.c is 0.744."""
    measured = {"a.b": Measured(12.4, "ms"), "a.c": Measured(0.744, "")}
    return problems({"X.md": text}, measured, quotes, claims, {})


def test_documents() -> None:
    """README and changelog quote no figure that does not stand in results.json."""
    documents = {name: (TOP / name).read_text() for name in ("README.md", "CHANGELOG.md")}
    wrong = problems(documents, read_results(), QUOTED, CLAIMS, ALLOWED)
    assert not wrong, "\n".join(wrong)


def test_results() -> None:
    """results.json holds figures of every benchmark, of one commit, with unit, kind and aim."""
    document = json.loads(RESULTS.read_text())
    assert re.fullmatch("[0-9a-f]{40}", document["commit"])
    assert {f["key"].partition(".")[0] for f in document["figures"]} == set(BENCHMARKS)
    for figure in document["figures"]:
        assert figure["kind"] == UNITS[figure["unit"]][0]
        if figure["aim"]:
            assert figure["met"] == Aim.parse(figure["aim"]).met(figure["number"])


@pytest.mark.parametrize("program", ["fail2ban", "sshguard", "firewalld"])
def test_versions(program: str) -> None:
    """README names the versions that were measured."""
    version = re.search(r"\d+(?:\.\d+)+", json.loads(RESULTS.read_text())[program])
    assert version is not None
    assert f"{program} {version[0]}" in (TOP / "README.md").read_text()


def test_quoted() -> None:
    """A number may be rounded as it is written, across a line break, too."""
    quote = Quote("X.md", "bans in # ms and", ("a.b",))
    assert found("It bans in\n  12 ms and more", quote) == []
    assert found("It bans in **12.4 ms** and more", Quote("X.md", "in **# ms**", ("a.b",))) == []
    assert found("at 74 % of it", Quote("X.md", "at # % of it", ("a.c",), factor=100)) == []
    assert found("at 70 % of it", Quote("X.md", "at # % of it", ("a.c",), to=10, factor=100)) == []


def test_outdated() -> None:
    """A number that is no longer measured is named with its line, its key and what it should be."""
    quote = Quote("X.md", "bans in # ms and", ("a.b",))
    assert found("Title\n\nIt bans in 13 ms and more", quote) == [
        "X.md line 3 says 13 ms; results.json has a.b = 12.4 ms: it should be 12"
    ]
    assert found("bans in 12.3 ms and", quote) == [
        "X.md line 1 says 12.3 ms; results.json has a.b = 12.4 ms: it should be 12.4"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "13 ms",
        "13ms",
        "**0.1 s**",
        "1.1 to 2.7 s",
        "460-880 ms",
        "5 MB",
        "8 times",
        "1,000/s",
        "9 %",
        "500,000 lines a\nsecond",
        "1 GB",
        "3 µs",
        "3 minutes",
        "24 h",
        "within tenths",
        "half a percent",
        "in seconds",
    ],
)
def test_no_source(text: str) -> None:
    """Whatever looks measured needs a source."""
    (problem, *_) = found(f"Also {text} more.")
    assert problem.startswith("X.md line 1 says")
    assert "knows no source" in problem


def test_range() -> None:
    """Both ends of a range need a source."""
    quote = Quote("X.md", "takes # to", ("a.b",))
    assert [problem.partition(",")[0] for problem in found("takes 12 to 15 ms", quote)] == [
        "X.md line 1 says '15 ms'"
    ]


@pytest.mark.parametrize("text", ["100 attackers", "Postfix 3.5 to 3.12", "Debian 12", "in 1 step"])
def test_not_measured(text: str) -> None:
    """Counts and versions are not taken for figures."""
    assert found(f"Also {text}, more.") == []


def test_moved() -> None:
    """A quotation that is gone or stands twice is a problem, and so is a key that is gone."""
    quote = Quote("X.md", "in # ms", ("a.b",))
    (gone,) = found("Nothing.", quote)
    assert "in 0 places" in gone
    twice = found("in 12 ms, in 12 ms", quote)
    assert "in 2 places" in twice[0]
    assert (
        "no a.gone, which X.md quotes"
        in found("in 12 ms", Quote("X.md", "in # ms", ("a.gone",)))[0]
    )


def test_claims() -> None:
    """Words without a number are judged by an aim."""
    claim = Claim("X.md", "within hundredths of a second", "a.b", "< 100 ms")
    assert found("Bans within hundredths of a second.", claims=(claim,)) == []
    strict = Claim("X.md", "within hundredths of a second", "a.b", "< 10 ms")
    assert found("Bans within hundredths of a second.", claims=(strict,)) == [
        "X.md line 1 says 'within hundredths of a second'; results.json has a.b = 12.4 ms: "
        "it should be < 10 ms"
    ]


def test_allowed() -> None:
    """A number without a source is accounted for where its words stand, and only there."""
    allowed = {"after 7 d |": "a setting"}
    assert problems({"X.md": "after 7 d |"}, {}, (), (), allowed) == []
    assert len(problems({"X.md": "after 7 d | or 7 d"}, {}, (), (), allowed)) == 1
    assert problems({"X.md": ""}, {}, (), (), allowed) == [
        "tests/bench/quoted.py allows 'after 7 d |', which stands nowhere"
    ]

"""Finds the figures in a document, and compares them with those that were measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.bench.aims import Aim

_NUMBER = r"(\d[\d,]*(?:\.\d+)?)"
_UNITS = (
    "ms",
    "µs",
    "us",
    "ns",
    "s",
    "min",
    "h",
    "d",
    "[kMG]i?B",
    "bytes?",
    "%",
    "times",
    "x",
    "/s",
    "lines a second",
    "milliseconds?",
    "seconds?",
    "minutes?",
    "hours?",
    "days?",
    "percent",
)
#: What looks measured: "12 ms", "**0.11 s**", "1.1 to 2.7 s", "460-880 ms", "within hundredths".
_FIGURE = re.compile(
    rf"(?<![\w.,]){_NUMBER}(?:\s*(?:-|to|and|or)\s*{_NUMBER})?[\s*]*"
    rf"(?:{'|'.join(_UNITS).replace(' ', '[ ]')})(?!\w)".replace("[ ]", r"\s+")
)
_WORDS = re.compile(
    r"\b(?:tenths?|hundredths?|thousandths?|quarter|milliseconds?|seconds|percent)\b"
)


class Measured(NamedTuple):
    """A figure of results.json."""

    number: float
    unit: str


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a document that quote figures, a `#` for each number.

    keys: one for each number. to: what the numbers are rounded to; without it, as many decimals as
    they are written with. factor: of the number written to the one measured.
    """

    document: str
    words: str
    keys: Sequence[str]
    to: float | None = None
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """Words without a number, and what must be measured for them to be true."""

    document: str
    words: str
    key: str
    aim: str


class Span(NamedTuple):
    """A piece of a document that has been accounted for."""

    start: int
    end: int


class Document:
    """A text, what is wrong with its figures, and which of them are accounted for."""

    def __init__(self, name: str, text: str, measured: Mapping[str, Measured]) -> None:
        self._name, self._text, self._measured = name, text, measured
        self._known: list[Span] = []
        self.problems: list[str] = []

    def quote(self, quote: Quote) -> None:
        """Compares the numbers of a quotation."""
        for found in self._only(quote.words):
            assert len(found.groups()) == len(quote.keys), f"{quote.words!r}: a key for each #"
            for group, key in enumerate(quote.keys, 1):
                self._known.append(Span(*found.span(group)))
                if (measured := self._figure(key)) is not None:
                    self._compare(quote, key, measured, found, group)

    def claim(self, claim: Claim) -> None:
        """Judges words by what was measured."""
        for found in self._only(claim.words):
            self._known.append(Span(*found.span()))
            measured, aim = self._figure(claim.key), Aim.parse(claim.aim)
            if measured is None:
                continue
            assert measured.unit == aim.unit, f"{claim.key} is in {measured.unit!r}"
            if not aim.met(measured.number):
                self._add(found.start(), f"{claim.words!r}", claim.key, measured, claim.aim)

    def allow(self, words: str) -> int:
        """Accounts for words that no benchmark measures; returns how often they stand there."""
        spans = [Span(*found.span()) for found in _template(words).finditer(self._text)]
        self._known += spans
        return len(spans)

    def leftover(self) -> None:
        """Finds figures that nothing accounts for."""
        for start, end in _looks_measured(self._text):
            if not any(known.start <= start and end <= known.end for known in self._known):
                line = self._text.count("\n", 0, start) + 1
                said = " ".join(self._text[start : end + 12].split())
                self.problems.append(
                    f"{self._name} line {line} says {said!r}, and tests/bench/quoted.py knows no "
                    "source for that"
                )

    def _only(self, words: str) -> list[re.Match[str]]:
        """The one place where words stand; none, with a problem, if it is not one place."""
        found = list(_template(words).finditer(self._text))
        if len(found) == 1:
            return found
        self.problems.append(
            f"{self._name} has {words!r} in {len(found)} places instead of one; "
            "tests/bench/quoted.py is to say what stands there now"
        )
        return []

    def _figure(self, key: str) -> Measured | None:
        if key not in self._measured:
            self.problems.append(f"results.json has no {key}, which {self._name} quotes")
        return self._measured.get(key)

    def _compare(
        self, quote: Quote, key: str, measured: Measured, found: re.Match[str], group: int
    ) -> None:
        said = found[group]
        decimals = len(said.partition(".")[2])
        step = quote.to or 10**-decimals
        wanted = measured.number * quote.factor
        if abs(float(said.replace(",", "")) - wanted) > step / 2 * (1 + 1e-9):
            rounded = f"{round(wanted / step) * step:,.{decimals}f}"
            figure = _FIGURE.match(self._text, found.start(group))
            self._add(found.start(group), figure[0] if figure else said, key, measured, rounded)

    def _add(self, at: int, said: str, key: str, measured: Measured, wanted: str) -> None:
        line = self._text.count("\n", 0, at) + 1
        number = f"{measured.number:,g} {measured.unit}".rstrip()
        self.problems.append(
            f"{self._name} line {line} says {said}; results.json has {key} = {number}: "
            f"it should be {wanted}"
        )


def _looks_measured(text: str) -> Iterator[Span]:
    """Each number of what looks like a figure, and words that stand for one."""
    for found in _FIGURE.finditer(text):
        for group in (1, 2):
            if found[group] is not None:
                yield Span(*found.span(group))
    for found in _WORDS.finditer(text):
        yield Span(*found.span())


def _template(words: str) -> re.Pattern[str]:
    """Words with any white space between them, `#` a number."""
    pieces = (re.escape(piece) for piece in words.split())
    return re.compile(r"\s+".join(pieces).replace(r"\#", _NUMBER))


def problems(
    documents: Mapping[str, str],
    measured: Mapping[str, Measured],
    quotes: Sequence[Quote],
    claims: Sequence[Claim],
    allowed: Mapping[str, str],
) -> list[str]:
    """What is wrong with the figures of documents, a sentence for each."""
    texts = {name: Document(name, text, measured) for name, text in documents.items()}
    for quote in quotes:
        texts[quote.document].quote(quote)
    for claim in claims:
        texts[claim.document].claim(claim)
    stale = [
        f"tests/bench/quoted.py allows {words!r}, which stands nowhere"
        for words in allowed
        if not sum(text.allow(words) for text in texts.values())
    ]
    for text in texts.values():
        text.leftover()
    return [problem for text in texts.values() for problem in text.problems] + stale

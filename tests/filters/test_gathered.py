"""Lines that come often have their patterns chosen in one pass: nothing else changes by that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

import pytest

from mailbanned.filters import FilterSet, Stamps, filterset
from mailbanned.filters.pattern import Chooser, Pattern, PatternError
from tests.filters.shipped import NAMES, NOW, shipped

SERVICES = [
    [name for name in NAMES if name.startswith(service)]
    for service in ("postfix", "dovecot", "sshd")
]


def fresh(names: Sequence[str]) -> FilterSet:
    """The filters of a service that have read nothing yet."""
    return FilterSet([shipped(name) for name in names], Stamps(UTC))


def samples(names: Sequence[str]) -> bytes:
    """All samples of the filters, whole, and cut off in three places."""
    lines = [sample.line for name in names for sample in shipped(name).samples]
    cut = [line[: len(line) * part // 4] for line in lines for part in (1, 2, 3)]
    return b"\n".join([*lines, *cut]) + b"\n"


def told(filters: FilterSet, block: bytes) -> tuple[list[object], list[tuple[str, int]], int]:
    """What is found, how often each pattern hit, and how many lines fitted none."""
    found: list[object] = list(filters.read(block, NOW))
    hits = [(rule, one.count) for rule, one in filters.tally.patterns.items()]
    return found, hits, filters.tally.unmatched


@pytest.mark.parametrize("names", SERVICES)
@pytest.mark.parametrize("most", [0, 2, 1000])
def test_the_verdicts_are_the_same(
    names: list[str], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether all, some or none of the patterns are gathered, lines say the same."""
    expected = told(fresh(names), samples(names))
    assert expected[0]
    monkeypatch.setattr(filterset, "_RARE", 1)
    monkeypatch.setattr(filterset, "_MOST_GATHERED", most)
    assert told(fresh(names), samples(names)) == expected


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many patterns each chooser is made of."""
    made: list[int] = []

    class Counted(Chooser):
        def __init__(self, patterns: Sequence[Pattern]) -> None:
            made.append(len(patterns))
            super().__init__(patterns)

    monkeypatch.setattr(filterset, "Chooser", Counted)
    return made


def test_only_frequent_lines_are_worth_it_and_only_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns are compiled together after many lines of a kind, and for a few kinds only."""
    made = counted(monkeypatch)
    monkeypatch.setattr(filterset, "_MOST_GATHERED", 3)
    names = SERVICES[0]
    filters = fresh(names)
    told(filters, samples(names))
    assert not made
    told(filters, samples(names) * filterset._RARE)
    assert len(made) == 3


SASL = "warning: unknown[203.0.113.5]: SASL LOGIN authentication failed: , sasl_username=x"
NO_SUCH = (
    "NOQUEUE: reject: RCPT from unknown[203.0.113.5]: 550 5.1.1 <x@example.org>: Recipient address "
    "rejected: User unknown in virtual mailbox table; from=<> to=<x@example.org> helo=<x>"
)


@pytest.mark.parametrize(("text", "gathered"), [(SASL, False), (NO_SUCH, True)])
def test_only_where_patterns_are_tried_in_vain(
    text: str, gathered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines whose first pattern tells at once are not looked through for all of them before."""
    made = counted(monkeypatch)
    line = f"May  1 06:43:08 mx postfix/smtpd[123]: {text}\n".encode()
    found, _, _ = told(fresh(SERVICES[0]), line * filterset._RARE)
    assert len(found) == filterset._RARE
    assert bool(made) is gathered


@pytest.mark.parametrize("answer", [[], PatternError("too many")])
def test_where_the_memory_does_not_do_they_are_tried_one_by_one(
    answer: list[int] | PatternError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chooser that cannot be made, or cannot tell, loses no line."""

    class Poor:
        def __init__(self, _: object) -> None:
            if isinstance(answer, PatternError):
                raise answer
            self.which = lambda _: answer

    names = SERVICES[0]
    expected = told(fresh(names), samples(names))
    monkeypatch.setattr(filterset, "_RARE", 1)
    monkeypatch.setattr(filterset, "Chooser", Poor)
    assert told(fresh(names), samples(names)) == expected


def test_what_cannot_be_compiled_is_tried_once_and_takes_nobodys_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Patterns that are too many for one pass are not compiled again and again."""
    tried: list[int] = []

    class TooMany:
        def __init__(self, patterns: Sequence[Pattern]) -> None:
            tried.append(len(patterns))
            raise PatternError("too many")

    monkeypatch.setattr(filterset, "Chooser", TooMany)
    line = f"May  1 06:43:08 mx postfix/smtpd[123]: {NO_SUCH}\n".encode()
    filters = fresh(SERVICES[0])
    told(filters, line * filterset._RARE * 3)
    assert len(tried) == 1
    made = counted(monkeypatch)
    monkeypatch.setattr(filterset, "_MOST_GATHERED", 1)
    told(filters, line.replace(b": reject:", b", sasl_method=: reject:") * filterset._RARE)
    assert len(made) == 1

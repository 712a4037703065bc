"""How often which rule found whom, in as few steps a line as can be.

Jails that listen to the same rule count the same lines (a strict one only those of unknown names),
so a line is counted once, and told to the jails when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from mailbanned.cli.tallies import JailTally, Seen

#: Which jails count what a rule finds, and whether each counts unknown accounts only.
Listening = list[tuple[bool, JailTally]]

_MOST = 200_000


class Case:
    """What a rule has found of one address since it was last told.

    lines, unknown: so many lines; those of unknown accounts. seen: where lines of its subjects are
    counted. deaf: the round (see Replay) in which all jails that listen keep the address out.
    """

    __slots__ = ("deaf", "lines", "seen", "unknown")

    def __init__(self, seen: list[list[int]]) -> None:
        self.seen = seen
        self.lines = self.unknown = 0
        self.deaf = -1


class Rule:
    """What one rule finds in one source.

    lenient: whether a jail counts all of it. cases: by address. tried: the names of accounts, one
    for each line; `users` is how often each was tried before.
    """

    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.lenient = any(not strict for strict, _ in listening)
        self.cases: dict[str, Case] = {}
        self.tried: list[str] = []
        self.users: Counter[str] = Counter()

    def count(self) -> None:
        """Counts the names (all at once, which is quicker than one by one)."""
        self.users.update(self.tried)
        self.tried.clear()


class Cases:
    """All of them. unknown: whether an account does not exist."""

    def __init__(
        self, listening: Callable[[str, str], Listening], unknown: Callable[[str], bool],
        seen: Seen,
    ) -> None:  # fmt: skip
        self._sources: dict[str, dict[str, Rule]] = {}
        self._listening = listening
        self._unknown = unknown
        self._seen = seen

    def rules(self, source: str) -> dict[str, Rule]:
        """The rules that have found anything in a source, by name."""
        return self._sources.setdefault(source, {})

    def rule(self, source: str, name: str) -> Rule:
        """A rule that has found nothing yet."""
        found = self.rules(source)[name] = Rule(self._listening(source, name))
        return found

    def case(self, rule: Rule, address: str) -> Case:
        """The case of an address that is not known to a rule."""
        found = rule.cases[address] = Case(self._seen.cells(address))
        return found

    def _rules(self) -> list[Rule]:
        return [rule for rules in self._sources.values() for rule in rules.values()]

    def trim(self) -> None:
        """Counts names, and bounds what is remembered. To be called now and then."""
        rules = self._rules()
        for rule in rules:
            rule.count()
        cases = sum(len(rule.cases) for rule in rules)
        if cases > _MOST or any(len(rule.users) > _MOST for rule in rules):
            self.tell()

    def tell(self) -> None:
        """Tells the jails, and begins anew."""
        rules = self._rules()
        for rule in rules:
            rule.count()
            for strict, tally in rule.listening:
                for address, case in rule.cases.items():
                    tally.failed(address, case.unknown if strict else case.lines)
                tally.tried(self._counted(rule.users.items(), strict))
        for rule in rules:
            for _, tally in rule.listening:
                tally.trim()  # once all is told, lest somebody is dropped who comes again
            rule.cases.clear()
            rule.users.clear()

    def _counted(self, users: Iterable[tuple[str, int]], strict: bool) -> Iterable[tuple[str, int]]:
        return ((user, n) for user, n in users if not strict or self._unknown(user))

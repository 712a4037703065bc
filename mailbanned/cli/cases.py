"""How often which rule found whom, in as few steps a line as can be.

Jails that listen to the same rule count the same lines (a strict one only those of unknown names),
so a line is counted once, and told to the jails when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailbanned.cli.tallies import JailTally, Seen

#: Which jails count what a rule finds, and whether each counts unknown accounts only.
Listening = list[tuple[bool, JailTally]]

_MOST = 200_000


class Rule:
    """What one rule finds in one source. lenient: whether a jail counts all of it."""

    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.lenient = any(not strict for strict, _ in listening)
        self.users: dict[str, int] = {}


class Case:
    """What a rule has found of one address since it was last told.

    lines, unknown: so many lines; those of unknown accounts. seen: where lines of its subjects are
    counted. deaf: the round (see Replay) in which all jails that listen keep the address out.
    """

    __slots__ = ("address", "deaf", "lines", "rule", "seen", "unknown")

    def __init__(self, rule: Rule, address: str, seen: list[list[int]]) -> None:
        self.rule = rule
        self.address = address
        self.seen = seen
        self.lines = self.unknown = 0
        self.deaf = -1


class Cases:
    """All of them. unknown: whether an account does not exist."""

    def __init__(
        self, listening: Callable[[str, str], Listening], unknown: Callable[[str], bool],
        seen: Seen,
    ) -> None:  # fmt: skip
        self.known: dict[tuple[str, str, str], Case] = {}
        self._rules: dict[tuple[str, str], Rule] = {}
        self._listening = listening
        self._unknown = unknown
        self._seen = seen

    def new(self, source: str, rule: str, address: str) -> Case:
        """The case of an address that is not known."""
        found = self._rules.get((source, rule))
        if found is None:
            found = self._rules[source, rule] = Rule(self._listening(source, rule))
        case = self.known[source, rule, address] = Case(found, address, self._seen.cells(address))
        return case

    def trim(self) -> None:
        """Bounds what is remembered."""
        if len(self.known) > _MOST or any(len(one.users) > _MOST for one in self._rules.values()):
            self.tell()

    def tell(self) -> None:
        """Tells the jails, and begins anew."""
        for case in self.known.values():
            for strict, tally in case.rule.listening:
                tally.failed(case.address, case.unknown if strict else case.lines)
        self.known.clear()
        for rule in self._rules.values():
            for strict, tally in rule.listening:
                tally.tried(self._counted(rule.users.items(), strict))
                tally.trim()
            rule.users.clear()

    def _counted(self, users: Iterable[tuple[str, int]], strict: bool) -> Iterable[tuple[str, int]]:
        return ((user, n) for user, n in users if not strict or self._unknown(user))

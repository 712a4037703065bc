"""Which jails hear of a failure: found once for each source, rule and address, and remembered."""

from __future__ import annotations

from collections.abc import Mapping

from mailbanned.jails.jail import Jail, Listener

# Most lines come from the same few addresses; a wave of others must not fill the memory.
_REMEMBERED = 8192

#: Source, rule and address.
Key = tuple[str, str, str]


class Listening:
    """Listeners by key.

    known: those found lately. (Looked at for every failure; what is not there is to be found.)
    """

    def __init__(self, jails: Mapping[str, Jail]) -> None:
        self.known: dict[Key, tuple[Listener, ...]] = {}
        self._jails = jails
        self._concerned: dict[tuple[str, str], tuple[Jail, ...]] = {}

    def of(self, source: str, rule: str, address: str) -> tuple[Listener, ...]:
        """The jails that count what this rule finds in this source, as they hear of the address."""
        return self.known.get((source, rule, address)) or self.find(source, rule, address)

    def find(self, source: str, rule: str, address: str) -> tuple[Listener, ...]:
        """As `of`, for what is not known."""
        if (source, rule) not in self._concerned:
            of = source, rule.partition("/")[0]
            jails = (jail for jail in self._jails.values() if jail.of == of)
            self._concerned[source, rule] = tuple(jails)
        found = tuple(jail.listener(address) for jail in self._concerned[source, rule])
        if len(self.known) >= _REMEMBERED:
            self.known.clear()
        self.known[source, rule, address] = found
        return found

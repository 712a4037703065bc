"""Which jails a failure goes to: found once for each source, pattern and address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mailbanned.address import Subject
from mailbanned.jails.jail import Jail

# Most lines come from few addresses; a wave of others must not fill the memory.
_MAX_ROUTES = 8192


class Route(NamedTuple):
    """How one jail treats failures of one address.

    subject: under which they count; None if they are ignored.
    network: the network that may be banned instead; None if there is none.
    selective: whether the jail accepts only some failures.
    unknown_accounts, outage, findtime: the jail's settings.
    """

    jail: Jail
    name: str
    subject: Subject | None
    network: Subject | None
    selective: bool
    unknown_accounts: bool
    outage: bool
    findtime: float

    @classmethod
    def to(cls, jail: Jail, address: str) -> Route:
        """The route of an address to a jail."""
        settings, subject = jail.settings, jail.subject(address)
        return cls(
            jail,
            settings.name,
            subject,
            None if subject is None else jail.network(subject),
            bool(settings.passdb) or settings.unknown_accounts,
            settings.unknown_accounts,
            settings.outage,
            settings.findtime,
        )


#: Source, pattern and address.
Key = tuple[str, str, str]


class Routes(dict[Key, tuple[Route, ...]]):
    """The routes of failures, by source, pattern and address; each is made when first asked for."""

    def __init__(self, jails: Mapping[str, Jail]) -> None:
        super().__init__()
        self._jails = jails

    def __missing__(self, key: Key) -> tuple[Route, ...]:
        source, pattern, address = key
        feed = source, pattern.partition("/")[0]
        routes = tuple(
            Route.to(jail, address) for jail in self._jails.values() if jail.feed == feed
        )
        if len(self) >= _MAX_ROUTES:
            self.clear()
        self[key] = routes
        return routes

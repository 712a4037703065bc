"""Which jails a failure goes to, and what each of them makes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import NamedTuple

from mailbanned.address import Subject
from mailbanned.jails.jail import Jail
from mailbanned.model import Failure

# Most lines come from few addresses; a wave of others must not fill the memory.
_MAX_ROUTES = 8192


class Verdict(Enum):
    """What becomes of a failure in one jail."""

    IGNORED = "the address is on the ignore list"
    NOT_ACCEPTED = "the jail does not count failures of this kind"
    ALREADY_BANNED = "the jail has banned the subject"
    SUSPENDED = "the login backend is down"
    EXPIRED = "the failure is older than findtime"
    CHECK_ACCOUNT = "the failure counts if the account does not exist"
    COUNT = "the failure counts"


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

    def verdict(
        self, failure: Failure, age: float, bans: Mapping[Subject, Collection[str]]
    ) -> Verdict:
        """What becomes of a failure if there is no outage.

        age: seconds since the failure. bans: the jails that have banned a subject, by subject.
        """
        jail, name, subject, network, selective, unknown_accounts, _, findtime = self
        if subject is None:
            return Verdict.IGNORED
        if selective and not jail.accepts(failure):
            return Verdict.NOT_ACCEPTED
        if subject in bans and name in bans[subject]:
            return Verdict.ALREADY_BANNED
        if network is not None and network in bans and name in bans[network]:
            return Verdict.ALREADY_BANNED
        if age >= findtime:
            return Verdict.EXPIRED
        return Verdict.CHECK_ACCOUNT if unknown_accounts else Verdict.COUNT

    def banned(self, bans: Mapping[Subject, Collection[str]]) -> Subject | None:
        """The subject of the address, or else its network, if any jail has banned it."""
        if self.subject in bans:
            return self.subject
        return self.network if self.network in bans else None


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

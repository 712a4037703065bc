"""The ledger: who is banned by which jail until when.

A subject may be banned by several jails; it stays out until the last of these bans ends. Ends
stand in one heap with one deadline; entries of bans that were lifted or prolonged stay in the
heap until their time and are then passed over.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from mailbanned.address import Network, Subject, network_of, overlap
from mailbanned.model import Ban, Unban


class Ledger:
    """Every ban that holds.

    bans: by subject, then by jail; to be looked at only. (Looked at for every failure.)
    """

    def __init__(self) -> None:
        self.bans: dict[Subject, dict[str, Ban]] = {}
        self._ends: list[tuple[float, Subject, str]] = []

    def __contains__(self, subject: object) -> bool:
        return subject in self.bans

    def __iter__(self) -> Iterator[Ban]:
        for jails in self.bans.values():
            yield from jails.values()

    def subjects(self) -> list[Subject]:
        """Everybody who is to be kept out, the newest last."""
        return list(self.bans)

    def get(self, subject: Subject, jail: str) -> Ban | None:
        """The ban of a subject in one jail."""
        return self.bans.get(subject, {}).get(jail)

    def holds(self, jail: str, subject: Subject, network: Subject | None = None) -> bool:
        """Whether the jail keeps the subject out, or the network that it is in."""
        bans = self.bans
        return jail in bans.get(subject, ()) or (network in bans and jail in bans[network])

    def within(self, network: Network) -> list[Subject]:
        """Everybody who is to be kept out and shares an address with the network."""
        return [subject for subject in self.bans if overlap(network_of(subject), network)]

    def of(self, subject: Subject) -> tuple[Ban, ...]:
        """All bans of a subject."""
        return tuple(self.bans.get(subject, {}).values())

    def add(self, ban: Ban) -> None:
        """Enters a ban; one of the same jail and subject is replaced."""
        self.bans.setdefault(ban.subject, {})[ban.jail] = ban
        if ban.until is not None:
            heapq.heappush(self._ends, (ban.until, ban.subject, ban.jail))

    def lift(self, subject: Subject, jail: str, at: float, reason: str) -> Unban | None:
        """Ends a ban before its time; None if there is none."""
        jails = self.bans.get(subject)
        if jails is None or jails.pop(jail, None) is None:
            return None
        if not jails:
            del self.bans[subject]
        return Unban(jail, subject, at, reason, is_last=not jails)

    def deadline(self) -> float | None:
        """When the next ban may end; None if none does."""
        return self._ends[0][0] if self._ends else None

    def expire(self, now: float) -> list[Unban]:
        """Ends every ban whose time has come, and says so."""
        ended = []
        while self._ends and self._ends[0][0] <= now:
            until, subject, jail = heapq.heappop(self._ends)
            ban = self.get(subject, jail)
            if ban is not None and ban.until == until:
                lifted = self.lift(subject, jail, now, "expired")
                if lifted is not None:
                    ended.append(lifted)
        return ended

"""The ledger: which subject is banned by which jail until when.

A subject may be banned by several jails; it stays banned until the last of these bans ends. All
ends are in one heap, so that one deadline is enough. The heap may also contain ends of bans that
were lifted or replaced; these entries are skipped when they come up.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from mailbanned.address import Network, Subject, network_of, overlap
from mailbanned.model import Ban, Unban


class Ledger:
    """All active bans.

    bans: by subject, then by jail. Read-only for callers; public because every failure is looked
        up in it.
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
        """All banned subjects, in the order of their first bans."""
        return list(self.bans)

    def get(self, subject: Subject, jail: str) -> Ban | None:
        """The ban of a subject in one jail; None if there is none."""
        return self.bans.get(subject, {}).get(jail)

    def is_banned(self, jail: str, subject: Subject, network: Subject | None = None) -> bool:
        """Whether the jail has banned the subject, or the network that contains it."""
        bans = self.bans
        return jail in bans.get(subject, ()) or (network in bans and jail in bans[network])

    def subjects_in(self, network: Network) -> list[Subject]:
        """All banned subjects that share an address with the network."""
        return [subject for subject in self.bans if overlap(network_of(subject), network)]

    def bans_of(self, subject: Subject) -> tuple[Ban, ...]:
        """All bans of a subject."""
        return tuple(self.bans.get(subject, {}).values())

    def add(self, ban: Ban) -> None:
        """Records a ban; replaces the one of the same jail and subject."""
        self.bans.setdefault(ban.subject, {})[ban.jail] = ban
        if ban.until is not None:
            heapq.heappush(self._ends, (ban.until, ban.subject, ban.jail))

    def lift(self, subject: Subject, jail: str, at: float, reason: str) -> Unban | None:
        """Removes a ban, whatever its end; returns None if there is none."""
        jails = self.bans.get(subject)
        if jails is None or jails.pop(jail, None) is None:
            return None
        if not jails:
            del self.bans[subject]
        return Unban(jail, subject, at, reason, is_last=not jails)

    def deadline(self) -> float | None:
        """When `expire` is to be called next, at the latest; None if no ban ends."""
        return self._ends[0][0] if self._ends else None

    def expire(self, now: float) -> list[Unban]:
        """Removes and returns all bans whose end has come, in the order of their ends."""
        ended = []
        while self._ends and self._ends[0][0] <= now:
            until, subject, jail = heapq.heappop(self._ends)
            ban = self.get(subject, jail)
            if ban is not None and ban.until == until:
                unban = self.lift(subject, jail, now, "expired")
                if unban is not None:
                    ended.append(unban)
        return ended

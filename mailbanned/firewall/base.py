"""What the rooms above may know of a firewall: the protocol, its two errors, and its state.

A backend only carries out; the enforcer decides what is wanted, retries and repairs.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from mailbanned.address import Subject


class FirewallDown(Exception):
    """The firewall cannot do it now: hold the ban and try again. The text is one plain sentence."""


class FirewallRefused(Exception):
    """The firewall will never do this for this subject: trying again is pointless."""


class Listed(NamedTuple):
    """The bans of ours that a firewall holds.

    whole: those in force exactly as `add` would put them.
    partial: those of which only a part or an outdated form is left, after a change of the zone or
        the verdict for example. `add` makes them whole, `remove` takes the rest away.
    ending: those of `whole` that the firewall will soon forget by itself. `add` prolongs them.
    """

    whole: Set[Subject]
    partial: Set[Subject] = frozenset()
    ending: Set[Subject] = frozenset()


@dataclass(frozen=True, slots=True)
class FirewallState:
    """How the firewall is doing, for `mailbanned status`.

    state: "connecting" until the first attempt has ended, then "up" or "down".
    zone: where bans go; "" if there is no such thing or it is not known yet.
    detail: why it is down, one sentence; "" while it is up.
    bans_in_force: wanted bans whose rule is there for certain.
    pending: wanted bans whose rule is not there yet.
    """

    backend: str
    state: Literal["up", "down", "connecting"]
    zone: str
    detail: str
    bans_in_force: int
    pending: int


class Firewall(Protocol):
    """One backend.

    Every method but `lost` may raise FirewallDown, and ends within a bounded time. `add`, `remove`
    and `listed` may run at the same time; the caller never runs two of them for one subject.

    slots: so many changes at the same time do it good; more would only wait in front of a new ban.
    old_slots: so many of them may restore bans or remove them; a new ban waits for these at most.
    """

    name: str
    slots: int
    old_slots: int

    @property
    def zone(self) -> str:
        """Where bans go, for people; "" if there is no such thing or it is not known yet."""
        ...

    async def connect(self) -> None:
        """Reaches the firewall afresh, whatever became of an earlier connection."""
        ...

    async def listed(self) -> Listed:
        """The bans of ours in force now. Rules of others are never among them."""
        ...

    async def add(self, subject: Subject, until: float | None = None) -> None:
        """Bans, and returns when the rule is in force. "Already there" is success.

        until: when `remove` is to be expected (seconds since the epoch); None is never. A firewall
        may forget the ban by itself some minutes later, in case that we are not there any more.

        Raises FirewallRefused for a subject that no rule can or may stop.
        """
        ...

    async def remove(self, subject: Subject) -> None:
        """Lifts a ban. "Not there" is success."""
        ...

    async def lost(self) -> str:
        """Waits until what was in force may be gone, or the firewall came back; returns why.

        Nothing is missed between two calls; events that come close together may be one.
        """
        ...

    async def close(self) -> None:
        """Gives the connection back. Bans stay in force. Never raises FirewallDown."""
        ...

"""What the layers above know of a firewall: the protocol, its two errors and its state.

A backend only carries out. The enforcer decides which bans are wanted, retries and repairs.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from mailbanned.address import Network, NotBannable, Subject, require_bannable


class FirewallDown(Exception):
    """The firewall cannot do it now: keep the ban and retry. The text is one plain sentence."""


class FirewallRefused(Exception):
    """The firewall will never do this for this subject: a retry is pointless."""


class Listed(NamedTuple):
    """The bans of ours that a firewall holds.

    complete: those in force exactly as `add` would put them.
    partial: those of which only a part or an outdated form is left, for example after a change of
        the zone or the verdict. `add` completes them, `remove` removes the rest.
    expiring: those of `complete` that the firewall will soon forget by itself. `add` prolongs them.
    """

    complete: Set[Subject]
    partial: Set[Subject] = frozenset()
    expiring: Set[Subject] = frozenset()


@dataclass(frozen=True, slots=True)
class FirewallState:
    """How the firewall is doing, for `mailbanned status`.

    state: "connecting" until the first attempt has ended, then "up" or "down".
    zone: where bans go; "" if the backend has no zones or the zone is not known yet.
    detail: why it is down, one sentence; "" while it is up.
    bans_in_force: number of wanted bans whose rule is certainly there.
    pending: number of wanted bans whose rule is not there yet.
    """

    backend: str
    state: Literal["up", "down", "connecting"]
    zone: str
    detail: str
    bans_in_force: int
    pending: int


class Firewall(Protocol):
    """One backend.

    Every method but `wait_until_lost` may raise FirewallDown, and ends within a bounded time.
    `add`, `remove` and `list_bans` may run at the same time; the caller never runs two of them for
    one subject.

    max_parallel: number of changes that may run at the same time; more would only queue in front
        of a new ban.
    max_parallel_restores: number of them that may restore or remove bans; a new ban waits for
        these at most.
    """

    name: str
    max_parallel: int
    max_parallel_restores: int

    @property
    def zone(self) -> str:
        """Where bans go, for people; "" if there are no zones or the zone is not known yet."""
        ...

    async def connect(self) -> None:
        """Connects to the firewall, and gives up an earlier connection."""
        ...

    async def list_bans(self) -> Listed:
        """Returns the bans of ours in force now. Rules of others are never among them."""
        ...

    async def add(self, subject: Subject, until: float | None = None) -> None:
        """Bans, and returns when the rule is in force. "Already there" is success.

        until: when `remove` is to be expected (seconds since the epoch); None is never. A firewall
        may forget the ban by itself some minutes later, in case that mailbanned does not run then.

        Raises FirewallRefused for a subject that no rule can or may stop.
        """
        ...

    async def remove(self, subject: Subject) -> None:
        """Lifts a ban. "Not there" is success."""
        ...

    async def wait_until_lost(self) -> str:
        """Waits until rules may be gone, or the firewall came back; returns why.

        Nothing is missed between two calls; events that come close together may be one.
        """
        ...

    async def close(self) -> None:
        """Closes the connection. Bans stay in force. Never raises FirewallDown."""
        ...


def network_to_ban(subject: Subject) -> Network:
    """The subject's network. Raises FirewallRefused, with the reason, if it must not be banned."""
    try:
        return require_bannable(subject)
    except NotBannable as error:
        raise FirewallRefused(str(error)) from None

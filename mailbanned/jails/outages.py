"""What the breaker goes by, and what it tells of outages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """What the configuration says about the breaker.

    hold: seconds after the last evidence until the outage is held to be over.
    clients: so many known clients that fail within `hold` are an outage. Fewer will do if fewer
        have logged in within a day; one alone only if a server told it of a temporary failure.
    """

    enabled: bool = True
    hold: float = 60.0
    clients: int = 3


@dataclass(frozen=True, slots=True)
class Opening:
    """What is to be undone: failures from `since` (included) to `until` should not have counted.

    reason: what the outage was first known by. new: False if it was reported before, but smaller.
    """

    since: float
    until: float
    reason: str
    new: bool = True


@dataclass(frozen=True, slots=True)
class BreakerState:
    """How things stand. since, until, reason: of the present outage, or else of the latest one.

    suspended_total: failures that did not count. known: clients that have logged in.
    """

    open: bool
    since: float | None
    until: float | None
    reason: str
    openings_total: int
    suspended_total: int
    known: int

"""What the engine returns, and the state that it is restored from. All values are immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mailbanned.address import Subject
from mailbanned.jails.outage import OutageDetected
from mailbanned.model import Ban, Failure, Unban

#: The name of the jail of bans by hand when no jail is named.
MANUAL = "manual"

WindowKey = tuple[str, Subject]


class AccountCheck(NamedTuple):
    """A failure that counts only if its account does not exist, which the caller has to find out.

    at: when the failure counts. read_monotonic: when its line was read, on the monotonic clock;
        None for caught-up lines.
    """

    jail: str
    user: str
    failure: Failure
    at: float
    read_monotonic: float | None


class SeenWhileBanned(NamedTuple):
    """A live line with a failure of a banned subject: the ban may have no effect.

    read_monotonic: as in AccountCheck.
    """

    subject: Subject
    failure: Failure
    read_monotonic: float


#: What may follow from a log line: a ban, an account to be checked first, a sign that a ban has no
#: effect, or an outage of the login backend together with the bans that it lifts.
Event = Ban | AccountCheck | SeenWhileBanned | OutageDetected | Unban


@dataclass(frozen=True, slots=True)
class RestoredState:
    """What an earlier run saved: bans, and failure times by jail and subject."""

    bans: Sequence[Ban] = ()
    windows: Mapping[WindowKey, tuple[float, ...]] = field(default_factory=dict)

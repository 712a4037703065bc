"""What goes into the engine besides failures, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mailbanned.address import Subject
from mailbanned.jails.outage import Opening
from mailbanned.model import Ban, Failure, Unban

#: The name under which bans by hand are entered when no jail is named.
MANUAL = "manual"

WindowKey = tuple[str, Subject]


class Question(NamedTuple):
    """A failure that counts only if the account does not exist: somebody has to look."""

    jail: str
    user: str
    failure: Failure
    at: float
    ticks: float | None


#: What the engine answers: who is to be kept out, what has to be looked up first, and (when an
#: outage shows) since when nothing should have counted and whom that lets in again.
Decision = Ban | Question | Opening | Unban


@dataclass(frozen=True, slots=True)
class Saved:
    """What an earlier run left: bans, and failure times per jail and subject."""

    bans: Sequence[Ban] = ()
    windows: Mapping[WindowKey, tuple[float, ...]] = field(default_factory=dict)

"""One enforced ban: what is known of its rule in the firewall, and how each event changes that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from mailbanned.address import Subject
from mailbanned.model import Ban


class RuleState(Enum):
    """What is known of the rule of one subject.

    ABSENT: not there; also a rule that may have been lost.
    UNCERTAIN: perhaps there, whole or in part: it is being removed, or a change failed.
    IN_FORCE: certainly there.
    EXPIRING: certainly there, but the firewall will soon forget it.
    REFUSED: the firewall will never take it; only while the subject is wanted.
    """

    ABSENT = auto()
    UNCERTAIN = auto()
    IN_FORCE = auto()
    EXPIRING = auto()
    REFUSED = auto()

    __hash__ = object.__hash__  # that of Enum is slow, and matters when 20,000 bans are restored


class RuleEvent(Enum):
    """What happens to the rule of one subject.

    ADDED_BEFORE_LOSS: adding it succeeded, but all rules may have been lost since it was begun.
    LOST: all rules may have been lost.
    LISTED, LISTED_AS_EXPIRING, LISTED_IN_PART, NOT_LISTED: how it is in a listing of the firewall.
    DEMANDED: the subject was banned or unbanned.
    """

    ADDING = auto()
    ADDED = auto()
    ADDED_BEFORE_LOSS = auto()
    REMOVING = auto()
    REMOVED = auto()
    FAILED = auto()
    REFUSED = auto()
    LOST = auto()
    LISTED = auto()
    LISTED_AS_EXPIRING = auto()
    LISTED_IN_PART = auto()
    NOT_LISTED = auto()
    DEMANDED = auto()

    __hash__ = object.__hash__


_ABSENT, _UNCERTAIN, _REFUSED = RuleState.ABSENT, RuleState.UNCERTAIN, RuleState.REFUSED
_IN_FORCE, _EXPIRING = RuleState.IN_FORCE, RuleState.EXPIRING


def _always(state: RuleState) -> Mapping[RuleState, RuleState]:
    return dict.fromkeys(RuleState, state)


#: The state after each event, by the state before; without an entry it stays the same.
_TRANSITIONS: Mapping[RuleEvent, Mapping[RuleState, RuleState]] = {
    RuleEvent.ADDING: {_EXPIRING: _IN_FORCE},
    RuleEvent.ADDED: _always(_IN_FORCE),
    RuleEvent.ADDED_BEFORE_LOSS: _always(_UNCERTAIN),
    RuleEvent.REMOVING: _always(_UNCERTAIN),
    RuleEvent.REMOVED: _always(_ABSENT),
    RuleEvent.FAILED: _always(_UNCERTAIN),
    RuleEvent.REFUSED: _always(_REFUSED),
    RuleEvent.LOST: {_IN_FORCE: _ABSENT, _EXPIRING: _ABSENT},
    RuleEvent.LISTED: _always(_IN_FORCE),
    RuleEvent.LISTED_AS_EXPIRING: _always(_EXPIRING),
    RuleEvent.LISTED_IN_PART: {**_always(_UNCERTAIN), _REFUSED: _REFUSED},
    RuleEvent.NOT_LISTED: {**_always(_ABSENT), _REFUSED: _REFUSED},
    RuleEvent.DEMANDED: {_REFUSED: _ABSENT},
}


@dataclass(frozen=True, slots=True)
class Job:
    """One change of the firewall.

    add: True adds the rule, False removes it.
    is_restore: it restores or removes a ban, and so may wait while new bans are added.
    epoch: in which it was begun; see Reconciler.
    """

    subject: Subject
    add: bool
    is_restore: bool
    epoch: int


@dataclass(slots=True)
class EnforcedBan:
    """The only record of how a subject's ban is enforced; the reconciler owns it.

    is_wanted: whether the subject is to be banned; if not, the record ends with its rule.
    state: changed by `advance` and nowhere else.
    in_force_since: monotonic time since which the rule has been certainly there; None if it is not.
    job: the change in flight.
    is_awaited: whether it is still to be reported that the ban is in force.
    unreported: the bans to name in that report; none if the subject's ban was only restored.
    """

    subject: Subject
    is_wanted: bool = False
    state: RuleState = RuleState.ABSENT
    in_force_since: float | None = None
    job: Job | None = None
    is_awaited: bool = False
    unreported: tuple[Ban, ...] = ()

    def advance(self, event: RuleEvent, at: float | None = None) -> None:
        """Changes the state by an event.

        at: monotonic time, for events after which the rule is in force.
        """
        self.state = _TRANSITIONS[event].get(self.state, self.state)
        if self.state is not _IN_FORCE and self.state is not _EXPIRING:
            self.in_force_since = None
        elif self.in_force_since is None:
            self.in_force_since = at

    @property
    def is_in_force(self) -> bool:
        """Whether the subject is to be banned and its rule is certainly there."""
        return self.is_wanted and self.in_force_since is not None

    @property
    def is_waiting(self) -> bool:
        """Whether the subject is to be banned, its rule is not there, and it is not refused."""
        return self.is_wanted and self.in_force_since is None and self.state is not _REFUSED

    @property
    def needs_add(self) -> bool:
        """Whether its rule has to be added, or prolonged."""
        return self.is_wanted and self.state is not _IN_FORCE and self.state is not _REFUSED

    @property
    def needs_removal(self) -> bool:
        """Whether its rule, or what may be left of it, has to be removed."""
        return not self.is_wanted and self.state is not _ABSENT

    @property
    def is_over(self) -> bool:
        """Whether the record is no longer needed."""
        return not self.is_wanted and self.state is _ABSENT and self.job is None

"""The ledger against a model that keeps every ban in a plain dict and looks at all of them."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mailbanned.address import Subject
from mailbanned.jails import Ledger
from mailbanned.model import Ban, Unban

SUBJECTS = st.sampled_from([Subject(f"192.0.2.{n}/32") for n in range(4)])
JAILS = st.sampled_from(["dovecot", "postfix", "sshd"])
LENGTHS = st.none() | st.integers(1, 20).map(float)


class LedgerModel(RuleBasedStateMachine):
    """Bans come, are prolonged, shortened, lifted and run out, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.model: dict[tuple[Subject, str], Ban] = {}
        self.now = 0.0

    def _out(self, subject: Subject) -> bool:
        """Whether some jail of the model keeps the subject out."""
        return any(key[0] == subject for key in self.model)

    @rule(subject=SUBJECTS, jail=JAILS, length=LENGTHS)
    def add(self, subject: Subject, jail: str, length: float | None) -> None:
        ban = Ban(jail, subject, self.now, None if length is None else self.now + length, 3)
        self.ledger.add(ban)
        self.model[subject, jail] = ban

    @rule(subject=SUBJECTS, jail=JAILS)
    def lift(self, subject: Subject, jail: str) -> None:
        lifted = self.ledger.lift(subject, jail, self.now, "by hand")
        if self.model.pop((subject, jail), None) is None:
            assert lifted is None
        else:
            last = not self._out(subject)
            assert lifted == Unban(jail, subject, self.now, "by hand", last)

    @rule(passed=st.integers(0, 10))
    def expire(self, passed: int) -> None:
        self.now += passed
        ended = self.ledger.expire(self.now)
        due = {key for key, ban in self.model.items() if not ban.is_active(self.now)}
        assert len(ended) == len(due)
        assert {(unban.subject, unban.jail) for unban in ended} == due
        for unban in ended:
            del self.model[unban.subject, unban.jail]
            assert unban.at == self.now
            assert unban.is_last == (not self._out(unban.subject))

    @invariant()
    def holds_the_same_bans(self) -> None:
        assert {(ban.subject, ban.jail): ban for ban in self.ledger} == self.model
        assert set(self.ledger.subjects()) == {subject for subject, _ in self.model}
        for subject, jail in self.model:
            assert subject in self.ledger
            assert self.ledger.get(subject, jail) == self.model[subject, jail]
            assert self.model[subject, jail] in self.ledger.bans_of(subject)

    @invariant()
    def wakes_in_time(self) -> None:
        ends = [ban.until for ban in self.model.values() if ban.until is not None]
        deadline = self.ledger.deadline()
        assert not ends or (deadline is not None and deadline <= min(ends))


class TestLedger(LedgerModel.TestCase):  # type: ignore[misc, valid-type]
    """The ledger and the model never differ, and the deadline is never later than an end."""

    settings = settings(max_examples=60, stateful_step_count=30)


def test_nothing_to_wait_for() -> None:
    """Without a ban that ends there is no deadline, and nothing expires."""
    ledger = Ledger()
    ledger.add(Ban("sshd", Subject("192.0.2.1/32"), 0.0, None, 3))
    assert ledger.deadline() is None
    assert ledger.expire(1e12) == []
    assert ledger.get(Subject("192.0.2.9/32"), "sshd") is None
    assert ledger.bans_of(Subject("192.0.2.9/32")) == ()


def test_ends_come_in_order() -> None:
    """Bans that end in one look are reported in the order of their ends."""
    ledger = Ledger()
    for number, until in enumerate((30.0, 10.0, 20.0)):
        ledger.add(Ban("sshd", Subject(f"192.0.2.{number}/32"), 0.0, until, 3))
    assert ledger.deadline() == 10.0
    assert [unban.subject for unban in ledger.expire(25.0)] == ["192.0.2.1/32", "192.0.2.2/32"]
    assert ledger.deadline() == 30.0

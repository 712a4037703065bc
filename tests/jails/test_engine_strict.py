"""Strict jails: the engine asks whether the account exists, and believes only a clear no."""

from __future__ import annotations

import pytest

from mailbanned.jails import AccountCheck, Engine
from mailbanned.model import Ban
from tests.jails.support import ONE, fail, failure, net, question, rules, subject

STRICT = rules("strict", maxretry=1, unknown_accounts=True)


def test_a_strict_jail_asks_first() -> None:
    """A failure in a strict jail is a question with all that its answer needs, and no ban yet."""
    engine = Engine([STRICT])
    asked = question(
        engine.observe("log", failure(user="mallory"), 100.0, 101.0, read_monotonic=7.0)
    )
    assert asked == AccountCheck("strict", "mallory", failure(user="mallory"), 100.0, 7.0)
    assert list(engine.ledger) == []


def test_a_clear_no_counts() -> None:
    """An account that surely does not exist counts at the time of its line."""
    engine = Engine([STRICT])
    asked = question(
        engine.observe("log", failure(user="mallory"), 100.0, 100.0, read_monotonic=7.0)
    )
    ban = engine.resolve(asked, exists=False, now=103.0)
    assert ban is not None
    assert (ban.since, ban.user, ban.read_monotonic) == (100.0, "mallory", 7.0)
    assert subject() in engine.ledger


@pytest.mark.parametrize("exists", [True, None])
def test_yes_and_perhaps_do_not_count(exists: bool | None) -> None:
    """An account that exists, or of which nobody can tell, is no failure of a strict jail."""
    engine = Engine([STRICT])
    for at in range(10):
        assert engine.resolve(question(fail(engine, float(at))), exists, now=float(at)) is None
    assert list(engine.ledger) == []
    assert engine.changed_windows() == {}


def test_the_lenient_jail_counts_meanwhile() -> None:
    """A jail that takes any account counts at once, whatever the strict one is waiting for."""
    engine = Engine([STRICT, rules("lenient", maxretry=1)])
    asked, ban = fail(engine, 1.0)
    assert isinstance(asked, AccountCheck)
    assert isinstance(ban, Ban)
    assert ban.jail == "lenient"


def test_a_line_without_a_name_is_not_asked_about() -> None:
    """Where the server wrote no user there is nothing to ask, and nothing counts."""
    assert fail(Engine([STRICT]), 1.0, user=None) == []


def test_ignored_addresses_are_not_asked_about() -> None:
    """Nobody looks up a name for an address that would be ignored anyway."""
    engine = Engine([rules("strict", unknown_accounts=True, ignore=(net(ONE),))])
    assert fail(engine, 1.0) == []


def test_many_open_questions_bring_one_ban() -> None:
    """When the answers to a whole wave arrive together, the first brings the ban, no other does."""
    engine = Engine([STRICT])
    asked = [question(fail(engine, float(at))) for at in range(5)]
    banned = [engine.resolve(one, exists=False, now=6.0) for one in asked]
    assert [ban is not None for ban in banned] == [True, False, False, False, False]


def test_answers_out_of_order_count_at_their_lines_times() -> None:
    """Answers may overtake each other; the window is that of the lines."""
    engine = Engine([rules("strict", maxretry=3, unknown_accounts=True)])
    asked = [question(fail(engine, at)) for at in (1.0, 2.0, 3.0)]
    assert engine.resolve(asked[2], exists=False, now=4.0) is None
    assert engine.resolve(asked[0], exists=False, now=4.0) is None
    ban = engine.resolve(asked[1], exists=False, now=4.0)
    assert ban is not None
    assert ban.failures == 3


def test_an_answer_after_findtime_comes_too_late() -> None:
    """A failure whose answer took longer than findtime counts no more."""
    engine = Engine([STRICT])
    asked = question(fail(engine, 1.0))
    assert engine.resolve(asked, exists=False, now=1.0 + STRICT.findtime) is None


def test_an_answer_for_a_jail_that_has_gone() -> None:
    """An answer that finds its jail removed by a reload is dropped."""
    engine = Engine([STRICT])
    asked = question(fail(engine, 1.0))
    engine.configure([])
    assert engine.resolve(asked, exists=False, now=2.0) is None
    assert list(engine.ledger) == []


def test_nobody_asks_about_what_is_too_old_to_count() -> None:
    """A backlog of old lines must not keep the look-ups for new ones waiting."""
    engine = Engine([STRICT])
    assert fail(engine, 1.0, now=1.0 + STRICT.findtime) == []
    assert engine.jails[STRICT.name].failures_total == 0
    assert question(fail(engine, 1.1, now=1.0 + STRICT.findtime)).at == 1.1

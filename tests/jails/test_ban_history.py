"""Bans that grow: whoever comes back is out for longer, until he has been quiet for long."""

from __future__ import annotations

from math import inf
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mailbanned.jails import Engine
from mailbanned.jails.jail import BanHistory, escalated_bantime
from mailbanned.model import OutageReported
from tests.jails.support import ONE, OTHER, bans, fail, rules, subject

CENTURY = 100 * 365 * 86400.0
GROWING: dict[str, Any] = {
    "maxretry": 1,
    "bantime": 10.0,
    "bantime_factor": 3.0,
    "bantime_forgive": 50.0,
}


def lasts(engine: Engine, at: float, address: str = ONE) -> float:
    """How long the ban lasts that a failure at that time brings; what has ended is lifted first."""
    engine.expire(at)
    (ban,) = bans(fail(engine, at, address=address))
    assert ban.until is not None
    return ban.until - ban.since


def test_each_ban_lasts_longer() -> None:
    """By the factor, each subject by itself, up to the longest."""
    engine = Engine([rules(**GROWING, bantime_max=80.0)])
    assert lasts(engine, 0.0) == 10
    assert lasts(engine, 20.0) == 30
    assert lasts(engine, 21.0, OTHER) == 10
    assert lasts(engine, 60.0) == 80
    assert lasts(engine, 150.0) == 80


def test_the_quiet_begin_anew() -> None:
    """Quiet is who has not been banned for so long since the end of the last ban."""
    engine = Engine([rules(**GROWING)])
    assert lasts(engine, 0.0) == 10
    assert lasts(engine, 60.0) == 30
    assert lasts(engine, 141.0) == 10


def test_without_a_factor_nothing_grows() -> None:
    """As it is unless somebody asks for it; and who is banned for ever needs no growth."""
    engine = Engine([rules(maxretry=1, bantime=10.0)])
    assert [lasts(engine, at) for at in (0.0, 20.0, 40.0)] == [10, 10, 10]
    engine = Engine([rules(**GROWING | {"bantime": None})])
    assert bans(fail(engine, 0.0))[0].until is None


def test_who_is_let_in_by_hand_is_forgiven() -> None:
    """`unban` clears all that speaks against a subject."""
    engine = Engine([rules(**GROWING)])
    lasts(engine, 0.0)
    engine.unban([subject()], 5.0)
    assert lasts(engine, 6.0) == 10


def test_a_ban_that_an_outage_explains_does_not_count() -> None:
    """It is taken back, and those before it stay."""
    engine = Engine([rules(**GROWING, outage=True)])
    lasts(engine, 1000.0)
    assert lasts(engine, 1011.0) == 30
    engine.on_outage(OutageReported(1, None, None, None, "f/down"), 1012.0, 1012.0)
    assert subject() not in engine.ledger
    assert lasts(engine, 1040.0 + 60) == 10  # the last one that counts ended at 1010


@given(
    st.floats(0.001, CENTURY), st.floats(1, 100), st.integers(0, 10**6),
    st.none() | st.floats(0.001, CENTURY),
)  # fmt: skip
def test_no_growth_is_beyond_dates(
    bantime: float, factor: float, before: int, most: float | None
) -> None:
    """However often and however fast it grows: at least the bantime, and at most a century."""
    found = escalated_bantime(bantime, factor, before, most)
    assert bantime <= found <= CENTURY
    assert most is None or found <= max(most, bantime)


def test_memory_is_bounded() -> None:
    """The subjects that were banned long ago are forgotten first."""
    history = BanHistory()
    for number in range(60_000):
        history.add(subject(str(number)), 0.0, 1.0, inf)
    assert history.count(subject("0"), 2.0, inf) == 0
    assert history.count(subject("59999"), 2.0, inf) == 1

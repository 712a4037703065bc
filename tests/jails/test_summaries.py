"""Lines that only sum up a connection: one login that servers log twice is one failure."""

from __future__ import annotations

from mailbanned.jails import Engine
from mailbanned.model import Ban
from tests.jails.support import OTHER, failure, rules


def tell(engine: Engine, at: float, *, summary: bool, address: str = "192.0.2.1") -> list[Ban]:
    one = failure(address)._replace(summary=summary)
    return [ban for ban in engine.observe("log", one, at, at) if isinstance(ban, Ban)]


def test_two_typing_errors_are_two_failures() -> None:
    """Each told at once and summed up at the end of its connection, they ban nobody."""
    engine = Engine([rules(maxretry=3)])
    for at in (100.0, 160.0):
        assert tell(engine, at, summary=False) == []
        assert tell(engine, at + 30, summary=True) == []
    assert engine.jails["sshd"].windows.failures(200.0) == 2
    assert len(tell(engine, 220.0, summary=False)) == 1


def test_where_nothing_else_is_told_summaries_count() -> None:
    """A server that logs only at the end of connections bans by these lines."""
    engine = Engine([rules(maxretry=3)])
    assert [len(tell(engine, at, summary=True)) for at in (1.0, 2.0, 3.0)] == [0, 0, 1]


def test_what_others_told_or_long_ago_does_not_silence_a_summary() -> None:
    """It is the same address, and the last five minutes, that make a summary superfluous."""
    engine = Engine([rules(maxretry=3)])
    tell(engine, 100.0, summary=False, address=OTHER)
    tell(engine, 100.0, summary=False)
    tell(engine, 400.0, summary=True)
    tell(engine, 400.1, summary=True)
    assert engine.jails["sshd"].windows.failures(401.0) == 3
    assert len(tell(engine, 402.0, summary=True)) == 1

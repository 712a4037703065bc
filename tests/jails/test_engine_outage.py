"""What the engine does with an outage of the login backend: nothing of it may count."""

from __future__ import annotations

from typing import Any

from mailbanned.jails import Engine, Event, OutageDetected, OutageSettings
from mailbanned.model import Ban, Failure, LoginSucceeded, OutageReported, Unban
from tests.jails.support import ONE, OTHER, bans, fail, net, rules, subject

DOWN = OutageReported(1, None, None, None, "f/down")


def login(address: str) -> LoginSucceeded:
    """A good login."""
    return LoginSucceeded(1, None, address, "bob", "f/in")


def logins(**options: Any) -> Engine:
    """A jail of logins beside one that no outage touches."""
    return Engine([rules("logins", outage=True, **options), rules("rest", filter="g")])


def rest(engine: Engine, at: float) -> list[Event]:
    """A failure in the other jail."""
    return engine.observe("log", Failure(1, None, ONE, None, "g/p"), at, at)


def test_failures_during_an_outage_do_not_count() -> None:
    """From the server's word on, until the hold is over; other jails count on."""
    engine = logins()
    (opening,) = engine.on_outage(DOWN, 1000.0, 1000.0)
    assert isinstance(opening, OutageDetected)
    assert fail(engine, 1001.0, 1010.0, 1020.0, 1050.0) == []
    assert engine.jails["logins"].suspended_total == 4
    assert engine.jails["logins"].windows.failures(1050.0) == 0
    assert [*rest(engine, 1001.0), *rest(engine, 1002.0)] == []
    assert bans([one for one in rest(engine, 1003.0) if isinstance(one, Ban)])
    assert len(bans(fail(engine, 1100.0, 1101.0, 1102.0))) == 1


def test_what_was_counted_just_before_is_forgotten() -> None:
    """A failure may be read before the line that explains it; one from long before stays."""
    engine = logins()
    fail(engine, 900.0, 999.0)
    engine.changed_windows()
    engine.on_outage(DOWN, 1000.0, 1000.0)
    assert engine.jails["logins"].windows.times(subject()) == (900.0,)
    assert engine.changed_windows() == {("logins", subject()): (900.0,)}


def test_a_ban_made_just_before_is_lifted() -> None:
    """Only bans of the jails that depend on the backend, and only those of that time."""
    engine = logins()
    (old,) = bans(fail(engine, 1.0, 2.0, 3.0, address=OTHER))
    (wrong,) = bans(fail(engine, 998.0, 998.5, 999.0))
    rest(engine, 998.0), rest(engine, 998.0), rest(engine, 999.0)
    opening, lifted = engine.on_outage(DOWN, 1000.0, 1000.0)
    assert isinstance(opening, OutageDetected)
    assert opening.is_new
    assert isinstance(lifted, Unban)
    assert (lifted.jail, lifted.subject, lifted.is_last) == ("logins", wrong.subject, False)
    assert {(ban.jail, ban.subject) for ban in engine.ledger} == {
        ("logins", old.subject), ("rest", wrong.subject)
    }  # fmt: skip


def test_a_ban_by_hand_outlasts_an_outage() -> None:
    """What a person has decided, no line takes back."""
    engine = logins()
    ban = engine.ban(net(ONE), 999.0, None, jail="logins")
    engine.on_outage(DOWN, 1000.0, 1000.0)
    assert list(engine.ledger) == [ban]


def test_an_answer_that_comes_when_the_outage_is_known_does_not_count() -> None:
    """A strict jail that had asked before the outage showed counts nothing after it."""
    engine = logins(unknown_accounts=True, maxretry=1)
    (asked,) = fail(engine, 999.0)
    engine.on_outage(DOWN, 1000.0, 1000.0)
    assert engine.resolve(asked, False, 1000.5) is None  # type: ignore[arg-type]
    assert fail(engine, 1001.0) == []


def test_many_good_clients_failing_are_an_outage() -> None:
    """Three who had logged in before fail within a minute: their failures are undone."""
    engine = logins(maxretry=2)
    clients = [f"192.0.2.{number}" for number in range(1, 4)]
    for client in clients:
        engine.on_login(login(client), 900.0)
    (ban,) = bans(fail(engine, 1000.0, 1001.0, address=clients[0]))
    assert fail(engine, 1002.0, address=clients[1]) == []
    opening, lifted = fail(engine, 1003.0, address=clients[2])
    assert isinstance(opening, OutageDetected)
    assert isinstance(lifted, Unban)
    assert lifted.subject == ban.subject
    assert fail(engine, 1004.0, address=clients[1]) == []
    assert engine.jails["logins"].windows.failures(1004.0) == 0


def test_strangers_are_counted_however_many_they_are() -> None:
    """A botnet of addresses that never logged in opens nothing."""
    engine = logins(maxretry=2)
    for number in range(1, 50):
        assert len(fail(engine, 1000.0 + number, 1000.5 + number, address=f"192.0.2.{number}")) == 1


def test_switched_off_everything_counts() -> None:
    """Whoever wants no breaker has none."""
    engine = Engine([rules(outage=True)], outage=OutageSettings(enabled=False))
    assert engine.on_outage(DOWN, 1000.0, 1000.0) == []
    assert len(bans(fail(engine, 1001.0, 1002.0, 1003.0))) == 1


def test_windows_of_a_half_read_block_wait() -> None:
    """What belongs to a source that is being read is told later; a strict jail's at once."""
    engine = Engine([rules("a"), rules("b", source="other"), rules("c", unknown_accounts=True)])
    for source in ("log", "other"):
        for decision in engine.observe(source, Failure(1, None, ONE, "x", "f/p"), 1.0, 1.0):
            engine.resolve(decision, False, 1.0)  # type: ignore[arg-type]
    assert set(engine.changed_windows({"log"})) == {("b", subject()), ("c", subject())}
    assert set(engine.changed_windows({"other"})) == {("a", subject())}
    assert engine.changed_windows() == {}


def test_failures_that_are_too_old_to_count_may_tell_of_an_outage() -> None:
    """What good clients met with while we were away says how their next failures are meant."""
    engine = logins()
    clients = [f"192.0.2.{number}" for number in range(1, 4)]
    for client in clients:
        engine.on_login(login(client), 900.0)
    found = [fail(engine, 1000.0 + n, now=9000.0, address=one) for n, one in enumerate(clients)]
    assert [one for decisions in found for one in decisions if isinstance(one, OutageDetected)]

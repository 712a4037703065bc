"""Days of a host: outages to be detected, and attackers that must not gain from detection."""

from __future__ import annotations

from tests.jails.test_outage import Host

HOUR = 3600.0


def test_three_phones_and_a_dead_database() -> None:
    """A home host: the phones fail a few times before the server says why; none of it counts."""
    host = Host()
    host.login("abc", *(at * 900.0 for at in range(8)))
    host.fail("a", 7999.0, 8000.0)
    host.sign(8000.5)
    for at in range(8010, 9000, 10):
        host.fail("abc"[at % 3], float(at))
        if at % 50 == 0:
            host.sign(float(at))
    assert host.counted == []
    assert [one.is_new for one in host.openings] == [True]
    host.login("abc", 9100.0)
    assert not host.open(9100.0)


def test_three_phones_and_a_log_that_says_nothing() -> None:
    """The same where only the failures are logged: they are seen once all three phones fail."""
    host = Host()
    host.login("abc", *(at * 900.0 for at in range(8)))
    for at in range(8000, 9000, 20):
        host.fail("abc"[at // 20 % 3], float(at))
    assert host.counted == []
    host.login("b", 9000.0)
    host.fail("x", 9001.0)
    assert host.counted == [("x", 9001.0)]


def test_a_thousand_strangers() -> None:
    """A botnet fails, and provokes temporary failures, as often as it likes: all of it counts."""
    host = Host()
    host.login("abc", 0.0)
    for number in range(1000):
        host.refuse(f"bot-{number}", 100.0 + number / 100)
        host.fail(f"bot-{number}", 100.0 + number / 100)
    assert host.openings == []
    assert len(host.counted) == 1000
    assert host.detector.state(111.0).known_clients == 3


def test_a_botnet_and_two_typing_errors() -> None:
    """Strangers do not add to the witnesses, even where these are all but enough."""
    host = Host()
    host.login("abc", 0.0)
    for number in range(100):
        host.refuse(f"bot-{number}", 100.0)
    host.fail("a", 100.0)
    host.fail("b", 101.0)
    assert host.openings == []


def test_a_typing_error() -> None:
    """One user who mistypes, many times over, among others who log in or rest."""
    for others in ("", "bc"):
        host = Host()
        host.login("abc", 0.0)
        host.fail("a", *(100.0 + at for at in range(50)))
        host.login(others, 120.0)
        assert host.openings == []
        assert len(host.counted) == 50


def test_a_busy_host_with_forgotten_devices() -> None:
    """Five devices with old passwords fail every minute, while others log in: never an outage."""
    host = Host()
    host.login("abcdefgh", 0.0)
    for minute in range(1, 24 * 60):
        for place, who in enumerate("abcde"):
            host.fail(who, minute * 60.0 + place * 12)
            host.login("fgh"[place % 3], minute * 60.0 + place * 12 + 6)
    assert host.openings == []


def test_forgotten_devices_at_night() -> None:
    """With nobody else awake they may pass for an outage, but for half a day at most."""
    host = Host()
    host.login("abc", 0.0)
    for minute in range(1, 48 * 60):
        for who in "abc":
            host.fail(who, minute * 60.0)
    assert host.open(6 * HOUR)
    assert {at > 12 * HOUR for _, at in host.counted} == {True}
    assert len(host.counted) >= 3 * 35 * 60


def test_one_attacker_provokes_temporary_failures() -> None:
    """An hour of them, from one address, suspends nothing; not even if he has a password."""
    for stolen in ("", "x"):
        host = Host()
        host.login("abc" + stolen, 0.0)
        for at in range(100, 3700):
            host.refuse("x", float(at))
            host.fail("x", float(at))
        assert host.openings == []
        assert len(host.counted) == 3600


def test_intruders_cannot_keep_it_open_against_real_logins() -> None:
    """Bots with a stolen password open it for as long as nobody logs in, and no longer."""
    host = Host()
    host.login("abcxyz", 0.0)
    for at in range(100, 3700, 10):
        for who in "xyz":
            host.refuse(who, float(at))
        host.fail("guesser", float(at) + 1)
        host.login("abc"[at // 10 % 3], float(at) + 2)
        host.fail("guesser", float(at) + 3)
    assert len([one for one in host.counted if one[0] == "guesser"]) >= 360


def test_intruders_on_a_quiet_host() -> None:
    """Fewer bots than `clients` never open it, however few real clients there are."""
    for real in ("a", "ab", "abc"):
        host = Host()
        host.login(real + "xy", 0.0)
        for at in range(100, 3700):
            host.refuse("xy"[at % 2], float(at))
            host.fail("xy"[at % 2], float(at))
        assert host.openings == []


def test_caught_up_in_the_wrong_order() -> None:
    """Failures of hours are read before the signs that explain some: just those are undone."""
    host = Host()
    host.fail("x", *(float(at) for at in range(0, 7200, 10)))
    host.sign(*(float(at) for at in range(3600, 5400, 30)))
    during = [at for _, at in host.counted if 3595 <= at < 5370 + 60]
    assert during == []
    assert len(host.counted) == 720 - 183
    assert [one.is_new for one in host.openings].count(True) == 1
    host.fail("y", 4000.0, 5429.0, 5430.0)
    assert [at for who, at in host.counted if who == "y"] == [5430.0]


def test_caught_up_in_the_right_order() -> None:
    """With the signs first, whatever is asked about afterwards has its right answer at once."""
    host = Host()
    host.sign(1000.0, 1030.0, 5000.0)
    host.fail("x", 500.0, 1000.0, 1080.0, 1100.0, 5050.0, 5060.0)
    assert [at for _, at in host.counted] == [500.0, 1100.0, 5060.0]


def test_successes_caught_up_first() -> None:
    """Older failures are no witnesses against a success that is known already."""
    host = Host()
    host.login("abc", 0.0, 5000.0, 3000.0)
    for who in "abc":
        host.fail(who, 4000.0)
    assert host.openings == []


def test_two_hours_with_a_sign_every_half_minute() -> None:
    """One opening, suspended throughout, and counting again a minute after the last sign."""
    host = Host()
    for at in range(0, 7201, 30):
        host.sign(float(at))
        host.fail("a", float(at) + 1, float(at) + 29)
    assert len(host.openings) == 1
    assert host.counted == []
    host.fail("a", 7259.9, 7260.0)
    assert host.counted == [("a", 7260.0)]
    assert host.detector.state(7260.0).outages_total == 1


def test_flapping() -> None:
    """A backend that dies every ten minutes opens anew each time, and counts in between."""
    host = Host()
    host.login("a", 0.0)
    for start in range(600, 7200, 600):
        host.sign(float(start), float(start) + 20)
        host.fail("x", float(start) + 10, float(start) + 79)
        host.login("a", float(start) + 100)
        host.fail("x", float(start) + 200)
    assert [one.since for one in host.openings] == [start - 5.0 for start in range(600, 7200, 600)]
    assert [at % 600 for _, at in host.counted] == [200.0] * 11


def test_flapping_that_is_only_seen_in_failures() -> None:
    """Each login ends what the clients' failures had opened; when they fail again it reopens."""
    host = Host()
    host.login("abc", 0.0)
    for start in range(60, 1000, 60):
        for place, who in enumerate("abc"):
            host.fail(who, start + place * 2.0)
        host.login("abc", start + 30.0)
        host.fail("x", start + 40.0)
    assert len(host.openings) == 16
    assert {who for who, _ in host.counted} == {"x"}
    assert len(host.counted) == 16

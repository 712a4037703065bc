"""What `mailbanned test` makes of old logs: bans, what they prevent, outages, sessions, times."""

from __future__ import annotations

import pytest

from tests.cli.support import DOOR, A, B, C, Hall, at, refused, turned

LOST = "door[9]: the book of names is lost"


def test_lines_of_one_session_count_once(hall: Hall) -> None:
    """Two lines that tell of the same attempt match both, but are one failure."""
    log = hall.log(
        refused("06:43:01", session=1), at("06:43:01", f"door[1]: wrong key of bob from {A}"),
        refused("06:43:02", session=2), at("06:43:02", f"door[2]: wrong key of bob from {A}"),
        refused("06:43:03", session=3),
    )  # fmt: skip
    jail = hall.jail("door", log)
    assert jail["matched"] == 5
    assert [(ban["line"], ban["failures"]) for ban in jail["bans"]] == [(5, 3)]


def test_a_ban_tells_what_it_would_have_prevented(hall: Hall) -> None:
    """That is every later line in which its subject fails, in any jail, until the ban ends."""
    log = hall.log(
        *(refused(f"06:43:0{n}", session=n) for n in (1, 2, 3)),  # the ban of the door
        refused("06:44:00", session=4), turned("06:44:01"), refused("06:44:02", B),
        turned("06:44:03"),  # the ban of the gate, which lasts an hour
        turned("06:44:04"), turned("07:44:04"), turned("07:44:05"),
    )  # fmt: skip
    jails = {jail["name"]: jail for jail in hall.document(log)["jails"]}
    assert [(ban["line"], ban["prevented"]) for ban in jails["door"]["bans"]] == [(3, 6)]
    assert [(ban["line"], ban["prevented"]) for ban in jails["gate"]["bans"]] == [(7, 1), (10, 0)]
    assert (jails["door"]["prevented"], jails["gate"]["prevented"]) == (6, 1)
    # In the strict jail the first attempt of A bans for ever; a line that two jails count is one.
    assert [(ban["line"], ban["prevented"]) for ban in jails["strict"]["bans"]] == [(1, 8), (6, 0)]


def test_a_line_that_two_filters_match_is_one_line(hall: Hall) -> None:
    """It counts in both jails, but only once among the lines matched and the lines prevented."""
    hall.write("filters/echo.toml", DOOR.replace("Doors that", "The same doors, which"))
    with hall.config.open("a") as config:
        config.write('[jails.echo]\nsource = "doors"\nfilter = "echo"\n')
    log = hall.log(*(refused(f"06:43:0{n}", session=n) for n in range(1, 6)))
    document = hall.document("--jail", "door", "--jail", "echo", log)
    assert document["matched"] == 5
    found = [(jail["matched"], jail["prevented"]) for jail in document["jails"]]
    assert found == [(5, 2), (5, 2)]


def test_ipv6_is_told_of_by_network(hall: Hall) -> None:
    """Neighbours in a /64 are one subject; what they do after its ban is prevented."""
    log = hall.log(*(turned(f"06:43:0{n}", f"2001:db8::{n}") for n in range(1, 6)))
    (ban,) = hall.jail("gate", log)["bans"]
    assert (ban["address"], ban["line"], ban["prevented"]) == ("2001:db8::/64", 2, 3)


def test_an_outage_takes_bans_back(hall: Hall) -> None:
    """Failures before and after a server's word that it cannot ask do not count, and say so."""
    log = hall.log(
        *(refused(f"06:43:0{n}", session=n) for n in (1, 2, 3)), at("06:43:04", LOST),
        refused("06:43:05", B), refused("06:44:03", B, session=2),
        refused("06:50:00", C),
    )  # fmt: skip
    document = hall.document("--jail", "door", "--jail", "strict", log)
    (outage,) = document["outages"]
    assert outage["since"].endswith(":42:59+00:00")
    assert outage["until"].endswith(":44:04+00:00")
    assert outage["reason"] == "door/no-book"
    door, strict = document["jails"]
    assert [(ban["address"], ban["lifted"][11:19]) for ban in door["bans"]] == [
        (f"{A}/32", "06:43:04")
    ]
    assert (door["matched"], door["suspended"], door["prevented"]) == (6, 2, 0)
    assert [ban["address"] for ban in strict["bans"] if not ban["lifted"]] == [f"{C}/32"]
    text = hall.text("--jail", "door", log)
    assert "down from 2026-05-01T06:42:59 to 2026-05-01T06:44:04 (door/no-book)" in text
    assert "2 failures during an outage did not count" in text
    assert "taken back at 2026-05-01T06:43:04: an outage" in text


def test_an_outage_is_told_of_once_and_whole(hall: Hall) -> None:
    """Signs that follow each other are one outage, from the first to the last."""
    log = hall.log(*(at(f"06:43:{n:02}", LOST) for n in range(0, 60, 20)), refused("06:43:50"))
    (outage,) = hall.document(log)["outages"]
    assert (outage["since"][11:19], outage["until"][11:19]) == ("06:42:55", "06:44:40")
    assert hall.document("--since", "2026-05-01T07:00Z", log)["outages"] == []


def test_an_outage_in_one_log_counts_for_another(hall: Hall) -> None:
    """Logs are read side by side: what one server says of 06:43 holds for the other's 06:43."""
    failing = hall.log(*(refused(f"06:43:0{n}", session=n) for n in (1, 2, 3)), name="one")
    saying = hall.log(
        at("06:43:00", LOST), at("12:00:00", "door[1]: no entry at night"), name="two"
    )
    for logs in ((failing, saying), (saying, failing)):
        jail = hall.jail("door", *logs)
        assert (jail["suspended"], jail["bans"]) == (3, [])


def test_rotated_logs_may_be_given_in_any_order(hall: Hall) -> None:
    """As a shell's * gives them, the newest first: they are read in the order of their time."""
    lines = [refused(f"{hour:02}:00:00", session=hour) for hour in range(1, 10)]
    lines += [refused(f"10:00:0{n}", session=20 + n) for n in range(3)]
    old = hall.log(*lines[:7], name="log.2")
    new = hall.log(*lines[7:11], name="log.1")
    newest = hall.log(*lines[11:], name="log")
    (ban,) = hall.jail("door", newest, new, old)["bans"]
    assert (ban["log"], ban["line"], ban["at"][11:19]) == (str(newest), 1, "10:00:02")


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--since", "2026-05-01T06:43:02+00:00"], [2, 3, 4]),
        (["--until", "2026-05-01T06:43:02+00:00"], [1, 2]),
        (["--since", "2026-05-01 06:43:02Z", "--until", "2026-05-01T06:43:03.5Z"], [2, 3]),
        (["--since", "2026-05-02"], []),
        (["--until", "20260502"], [1, 2, 3, 4]),
        (["--since", "20w"], []),
    ],
)
def test_since_and_until_bound_what_counts(
    hall: Hall, options: list[str], numbers: list[int]
) -> None:
    """What is written at the very bounds counts, what is outside does not."""
    log = hall.log(*(refused(f"06:43:0{n}", session=n) for n in range(1, 5)))
    found = hall.lines("--jail", "door", "--matches", *options, log)
    assert [match["line"] for match in found] == numbers


def test_bans_come_of_what_counts_only(hall: Hall) -> None:
    """Failures before --since do not add to those behind it; all lines are read, some matched."""
    log = hall.log(*(refused(f"06:43:0{n}", session=n) for n in range(1, 6)))
    document = hall.document("--jail", "door", "--since", "2026-05-01T06:43:02Z", log)
    assert (document["lines"], document["matched"]) == (5, 4)
    assert [ban["line"] for ban in document["jails"][0]["bans"]] == [4]


def test_who_logged_in_before_since_is_known(hall: Hall) -> None:
    """Good logins count as knowledge whenever they were: three clients that fail are an outage."""
    log = hall.log(
        *(at("05:00:00", f"door[1]: welcome bob from {address}") for address in (A, B, C)),
        *(refused(f"06:43:0{n}", address) for n, address in enumerate((A, B, C))),
        refused("06:43:05", A, session=2), refused("06:43:06", A, session=3),
    )  # fmt: skip
    document = hall.document("--jail", "door", "--since", "2026-05-01T06:00Z", log)
    assert [one["reason"] for one in document["outages"]] == ["clients that logged in before fail"]
    assert document["jails"][0]["bans"] == []


def test_ignored_addresses_match_but_do_not_count(hall: Hall) -> None:
    """The ignore list of the configuration holds, and it is said how often."""
    log = hall.log(*(refused(f"06:43:0{n}", "198.51.100.7", session=n) for n in range(5)))
    jail = hall.jail("door", log)
    assert (jail["matched"], jail["ignored"], jail["bans"]) == (5, 5, [])
    assert "5 failures of ignored addresses did not count" in hall.text("--jail", "door", log)


def test_a_line_without_a_stamp_is_as_old_as_the_one_before(hall: Hall) -> None:
    """So it counts within the time of its neighbours, and its own time is unknown."""
    log = hall.log(refused("06:43:01"), f"door[2]: no entry for bob from {A}",
                   f"door[3]: no entry for bob from {A}")  # fmt: skip
    (ban,) = hall.jail("door", log)["bans"]
    assert (ban["line"], ban["at"][11:19]) == (3, "06:43:01")
    matches = hall.lines("--jail", "door", "--matches", log)
    assert [one["at"] and one["at"][11:19] for one in matches] == ["06:43:01", None, None]


def test_a_resting_jail_works_if_it_is_named(hall: Hall) -> None:
    """enabled = false keeps a jail out, unless somebody asks what it would do."""
    log = hall.log(turned("06:43:01"))
    assert [jail["name"] for jail in hall.document(log)["jails"]] == ["door", "strict", "gate"]
    assert len(hall.jail("asleep", log)["bans"]) == 1


def test_most_frequent_first(hall: Hall) -> None:
    """Of addresses and users, how many there were and the five that came most."""
    names = [f"user{n}" for n in range(7) for _ in range(n + 1)]
    lines = [refused(f"06:00:{n:02}", A, name, n) for n, name in enumerate(names)]
    log = hall.log(*lines)
    jail = hall.jail("door", log)
    assert jail["users"]["distinct"] == 7
    assert list(jail["users"]["most"].items())[:2] == [("user6", 7), ("user5", 6)]
    assert len(jail["users"]["most"]) == 5
    assert jail["addresses"] == {"distinct": 1, "most": {A: 28}}

"""What `mailbanned test` makes of old logs: bans, what they prevent, outages, sessions, times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.demo_host import APP, A, B, C, DemoHost, at, failed, rejected

LOST = "app[9]: database unavailable"


def test_lines_of_one_session_count_once(host: DemoHost) -> None:
    """Two lines of the same attempt both match, but are one failure."""
    log = host.log(
        failed("06:43:01", session=1), at("06:43:01", f"app[1]: wrong password of bob from {A}"),
        failed("06:43:02", session=2), at("06:43:02", f"app[2]: wrong password of bob from {A}"),
        failed("06:43:03", session=3),
    )  # fmt: skip
    jail = host.jail("app", log)
    assert jail["matched"] == 5
    assert [(ban["line"], ban["failures"]) for ban in jail["bans"]] == [(5, 3)]


def test_a_ban_counts_the_lines_that_it_prevents(host: DemoHost) -> None:
    """That is every later line in which its subject fails, in any jail, until the ban ends."""
    log = host.log(
        *(failed(f"06:43:0{n}", session=n) for n in (1, 2, 3)),  # the ban of jail app
        failed("06:44:00", session=4), rejected("06:44:01"), failed("06:44:02", B),
        rejected("06:44:03"),  # the ban of jail relay, which lasts an hour
        rejected("06:44:04"), rejected("07:44:04"), rejected("07:44:05"),
    )  # fmt: skip
    jails = {jail["name"]: jail for jail in host.document(log)["jails"]}
    assert [(ban["line"], ban["prevented"]) for ban in jails["app"]["bans"]] == [(3, 6)]
    assert [(ban["line"], ban["prevented"]) for ban in jails["relay"]["bans"]] == [(7, 1), (10, 0)]
    assert (jails["app"]["prevented"], jails["relay"]["prevented"]) == (6, 1)
    # In the strict jail the first attempt of A bans for ever; a line that two jails count is one.
    assert [(ban["line"], ban["prevented"]) for ban in jails["strict"]["bans"]] == [(1, 8), (6, 0)]


def test_a_line_that_two_filters_match_is_one_line(host: DemoHost) -> None:
    """It counts in both jails, but only once among the lines matched and the lines prevented."""
    host.write("filters/echo.toml", APP.replace("A service", "The same service"))
    with host.config.open("a") as config:
        config.write('[jails.echo]\nsource = "app"\nfilter = "echo"\n')
    log = host.log(*(failed(f"06:43:0{n}", session=n) for n in range(1, 6)))
    document = host.document("--jail", "app", "--jail", "echo", log)
    assert document["matched"] == 5
    found = [(jail["matched"], jail["prevented"]) for jail in document["jails"]]
    assert found == [(5, 2), (5, 2)]


def test_lines_of_two_logs_are_two_lines(host: DemoHost) -> None:
    """Lines with the same number in two logs count twice, also if they are read in a row."""
    logs = [host.log(failed(f"06:43:0{n}", session=n), name=f"log{n}") for n in (1, 2, 3, 4)]
    document = host.document("--jail", "app", *logs)
    assert document["matched"] == 4
    assert [ban["prevented"] for ban in document["jails"][0]["bans"]] == [1]


def test_ipv6_is_counted_by_network(host: DemoHost) -> None:
    """Neighbours in a /64 are one subject; what they do after its ban is prevented."""
    log = host.log(*(rejected(f"06:43:0{n}", f"2001:db8::{n}") for n in range(1, 6)))
    (ban,) = host.jail("relay", log)["bans"]
    assert (ban["address"], ban["line"], ban["prevented"]) == ("2001:db8::/64", 2, 3)


def test_an_outage_takes_bans_back(host: DemoHost) -> None:
    """Failures before and after a server's word that it cannot ask do not count, and say so."""
    log = host.log(
        *(failed(f"06:43:0{n}", session=n) for n in (1, 2, 3)), at("06:43:04", LOST),
        failed("06:43:05", B), failed("06:44:03", B, session=2),
        failed("06:50:00", C),
    )  # fmt: skip
    document = host.document("--jail", "app", "--jail", "strict", log)
    (outage,) = document["outages"]
    assert outage["since"].endswith(":42:59+00:00")
    assert outage["until"].endswith(":44:04+00:00")
    assert outage["reason"] == "app/no-database"
    app, strict = document["jails"]
    assert [(ban["address"], ban["lifted"][11:19]) for ban in app["bans"]] == [
        (f"{A}/32", "06:43:04")
    ]
    assert (app["matched"], app["suspended"], app["prevented"]) == (6, 2, 0)
    assert [ban["address"] for ban in strict["bans"] if not ban["lifted"]] == [f"{C}/32"]
    text = host.text("--jail", "app", log)
    assert "down from 2026-05-01T06:42:59 to 2026-05-01T06:44:04 (app/no-database)" in text
    assert "2 failures during an outage did not count" in text
    assert "taken back at 2026-05-01T06:43:04: an outage" in text


def test_consecutive_outage_lines_are_one_outage(host: DemoHost) -> None:
    """The outage is reported once, from the first line to the last."""
    log = host.log(*(at(f"06:43:{n:02}", LOST) for n in range(0, 60, 20)), failed("06:43:50"))
    (outage,) = host.document(log)["outages"]
    assert (outage["since"][11:19], outage["until"][11:19]) == ("06:42:55", "06:44:40")
    assert host.document("--since", "2026-05-01T07:00Z", log)["outages"] == []


def test_an_outage_in_one_log_counts_for_another(host: DemoHost) -> None:
    """Logs are read side by side: an outage that one server logs applies to failures of another."""
    failing = host.log(*(failed(f"06:43:0{n}", session=n) for n in (1, 2, 3)), name="one")
    saying = host.log(
        at("06:43:00", LOST), at("12:00:00", "app[1]: login failed: rate limit"), name="two"
    )
    for logs in ((failing, saying), (saying, failing)):
        jail = host.jail("app", *logs)
        assert (jail["suspended"], jail["bans"]) == (3, [])


def test_rotated_logs_may_be_given_in_any_order(host: DemoHost) -> None:
    """As a shell's * gives them, the newest first: they are read in the order of their time."""
    lines = [failed(f"{hour:02}:00:00", session=hour) for hour in range(1, 10)]
    lines += [failed(f"10:00:0{n}", session=20 + n) for n in range(3)]
    old = host.log(*lines[:7], name="log.2")
    new = host.log(*lines[7:11], name="log.1")
    newest = host.log(*lines[11:], name="log")
    (ban,) = host.jail("app", newest, new, old)["bans"]
    assert (ban["log"], ban["line"], ban["at"][11:19]) == (str(newest), 1, "10:00:02")


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--since", "2026-05-01T06:43:02+00:00"], [2, 3, 4]),
        (["--until", "2026-05-01T06:43:02+00:00"], [1, 2]),
        (["--since", "2026-05-01 06:43:02Z", "--until", "2026-05-01T06:43:03.5Z"], [2, 3]),
        (["--since", "2026-05-02"], []),
        (["--until", "20260502"], [1, 2, 3, 4]),
    ],
)
def test_since_and_until_bound_what_counts(
    host: DemoHost, options: list[str], numbers: list[int]
) -> None:
    """What is written at the very bounds counts, what is outside does not."""
    log = host.log(*(failed(f"06:43:0{n}", session=n) for n in range(1, 5)))
    found = host.lines("--jail", "app", "--matches", *options, log)
    assert [match["line"] for match in found] == numbers


def test_since_and_until_may_be_durations_before_now(host: DemoHost) -> None:
    """A line of three hours ago is after 4h ago and before 2h ago, whatever the date is."""
    stamp = (datetime.now(UTC) - timedelta(hours=3)).isoformat(timespec="seconds")
    log = host.log(f"{stamp} mx app[1]: login failed for bob from {A}")
    for options, count in (
        (["--since", "4h"], 1),
        (["--since", "2h"], 0),
        (["--until", "2h"], 1),
        (["--until", "4h"], 0),
        (["--since", "1w", "--until", "2h"], 1),
    ):
        assert host.jail("app", *options, log)["matched"] == count, options


def test_only_lines_within_the_time_count(host: DemoHost) -> None:
    """Failures before --since do not add to those behind it; all lines are read, some matched."""
    log = host.log(*(failed(f"06:43:0{n}", session=n) for n in range(1, 6)))
    document = host.document("--jail", "app", "--since", "2026-05-01T06:43:02Z", log)
    assert (document["lines"], document["matched"]) == (5, 4)
    assert [ban["line"] for ban in document["jails"][0]["bans"]] == [4]


def test_logins_before_since_are_known(host: DemoHost) -> None:
    """Good logins count as knowledge whenever they were: three clients that fail are an outage."""
    log = host.log(
        *(at("05:00:00", f"app[1]: login ok for bob from {address}") for address in (A, B, C)),
        *(failed(f"06:43:0{n}", address) for n, address in enumerate((A, B, C))),
        failed("06:43:05", A, session=2), failed("06:43:06", A, session=3),
    )  # fmt: skip
    document = host.document("--jail", "app", "--since", "2026-05-01T06:00Z", log)
    assert [outage["reason"] for outage in document["outages"]] == [
        "clients that logged in before fail"
    ]
    assert document["jails"][0]["bans"] == []


def test_ignored_addresses_match_but_do_not_count(host: DemoHost) -> None:
    """The ignore list of the configuration holds, and it is said how often."""
    log = host.log(*(failed(f"06:43:0{n}", "198.51.100.7", session=n) for n in range(5)))
    jail = host.jail("app", log)
    assert (jail["matched"], jail["ignored"], jail["bans"]) == (5, 5, [])
    assert "5 failures of ignored addresses did not count" in host.text("--jail", "app", log)


def test_a_line_without_a_stamp_is_as_old_as_the_one_before(host: DemoHost) -> None:
    """So it counts within the time of its neighbours, and its own time is unknown."""
    log = host.log(failed("06:43:01"), f"app[2]: login failed for bob from {A}",
                   f"app[3]: login failed for bob from {A}")  # fmt: skip
    (ban,) = host.jail("app", log)["bans"]
    assert (ban["line"], ban["at"][11:19]) == (3, "06:43:01")
    matches = host.lines("--jail", "app", "--matches", log)
    assert [match["at"] and match["at"][11:19] for match in matches] == ["06:43:01", None, None]


def test_a_disabled_jail_is_used_if_it_is_named(host: DemoHost) -> None:
    """enabled = false leaves a jail out, unless --jail names it."""
    log = host.log(rejected("06:43:01"))
    assert [jail["name"] for jail in host.document(log)["jails"]] == ["app", "strict", "relay"]
    assert len(host.jail("off", log)["bans"]) == 1


def test_most_frequent_first(host: DemoHost) -> None:
    """Of addresses and users, how many there were and the five that came most."""
    names = [f"user{n}" for n in range(7) for _ in range(n + 1)]
    lines = [failed(f"06:00:{n:02}", A, name, n) for n, name in enumerate(names)]
    log = host.log(*lines)
    jail = host.jail("app", log)
    assert jail["users"]["distinct"] == 7
    assert list(jail["users"]["most"].items())[:2] == [("user6", 7), ("user5", 6)]
    assert len(jail["users"]["most"]) == 5
    assert jail["addresses"] == {"distinct": 1, "most": {A: 28}}

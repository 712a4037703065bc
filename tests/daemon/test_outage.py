"""An outage of the login backend, as a whole daemon sees it in two logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Running, sasl, write_config

CLIENT, ATTACKER = "203.0.113.5", "203.0.113.6"
DOWN = (
    "May  1 06:43:08 mx dovecot: auth-worker(77): Error: "
    "mysql(127.0.0.1): Connect failed to database (mailserver): Can't connect to server"
)
JAILS = """
[jails.postfix-sasl]
source = "postfix"
filter = "postfix-sasl"
[jails.dovecot]
source = "dovecot"
filter = "dovecot"
[jails.postfix]
source = "postfix"
filter = "postfix"
maxretry = 1
[outage]
hold = "{hold}"
"""


def write(folder: Path, hold: str) -> None:
    """Jails of two logs, for which an outage is over after `hold`."""
    write_config(folder, more=JAILS.format(hold=hold))


@pytest.fixture
def daemon(folder: Path) -> Iterator[Running]:
    """A daemon for which no outage is over while a test lasts."""
    write(folder, "1d")
    with Running(folder) as running:
        running.following()  # what is caught up counts at its stamp, which is long ago
        yield running


def test_real_clients_survive_a_dead_database(daemon: Running) -> None:
    """What Dovecot logs of its database suspends the SASL jail."""
    daemon.append("dovecot.log", DOWN)
    daemon.wait(lambda: daemon.status()["breaker"]["open"], "the outage is seen")
    assert daemon.status()["breaker"]["reason"].startswith("dovecot/")
    daemon.append("postfix.log", *[sasl(CLIENT, "bob") for _ in range(5)])
    daemon.wait(lambda: daemon.jail("postfix-sasl")["suspended_total"] == 5, "all are suspended")
    jail = daemon.jail("postfix-sasl")
    assert (jail["failures_now"], jail["banned_now"]) == (0, 0)
    assert daemon.log().count("the login backend seems to be down") == 1


def test_failures_after_the_outage_count(daemon: Running) -> None:
    """When the hold is over, attackers are banned as ever."""
    write(daemon.folder, "1s")
    assert daemon.cli("reload").returncode == 0
    daemon.following()
    daemon.append("dovecot.log", DOWN)
    daemon.wait(lambda: daemon.status()["breaker"]["openings_total"] == 1, "the outage is seen")
    daemon.wait(lambda: not daemon.status()["breaker"]["open"], "the outage is over")
    daemon.append("postfix.log", *[sasl(ATTACKER, "bob") for _ in range(3)])
    daemon.wait_banned("postfix-sasl", f"{ATTACKER}/32")


def test_what_looks_like_a_failure_is_shown(daemon: Running) -> None:
    """A failure in new words is counted, kept and shown; what patterns find is counted for them."""
    odd = "May  1 06:43:08 mx postfix/smtpd[1]: warning: x[203.0.113.9]: SASL said no"
    daemon.append("postfix.log", odd, sasl(CLIENT, "bob"))
    daemon.settled()
    (source,) = [one for one in daemon.status()["sources"] if one["name"] == "postfix"]
    assert source["unmatched"]["count"] == 1
    assert source["unmatched"]["line"].startswith(
        "postfix/smtpd[1]: warning: x[203.0.113.9]: SASL said"
    )
    hits = {one["rule"]: one["hits"] for one in source["patterns"]}
    assert hits["postfix-sasl/failed"] == 4  # three are the marker's
    assert hits["postfix-sasl/too-often"] == 0

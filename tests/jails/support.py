"""Failures and rules for the tests of the engine, in as few words as a test should need."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from mailbanned.address import Network, Subject
from mailbanned.jails import AccountCheck, Engine, Event, JailSettings
from mailbanned.model import Ban, Failure

ONE, OTHER = "192.0.2.1", "192.0.2.2"
HOUR = 3600.0


def rules(name: str = "sshd", **options: Any) -> JailSettings:
    """A jail on source "log" and filter "f": three failures within an hour, a ban of ten hours."""
    values: dict[str, Any] = {
        "source": "log", "filter": "f", "maxretry": 3, "findtime": HOUR, "bantime": 10 * HOUR,
    }  # fmt: skip
    return JailSettings(name=name, **{**values, **options})


def failure(address: str = ONE, user: str | None = "info", rule: str = "f/p") -> Failure:
    """One matched line."""
    return Failure(1, None, address, user, rule)


def fail(
    engine: Engine, *times: float, address: str = ONE, user: str | None = "info",
    now: float | None = None,
) -> list[Event]:  # fmt: skip
    """One failure at each of the times (as live lines, unless `now` says otherwise)."""
    found: list[Event] = []
    for at in times:
        found += engine.observe("log", failure(address, user), at, at if now is None else now)
    return found


def bans(decisions: Iterable[Event]) -> list[Ban]:
    """The bans among decisions; there must be no questions."""
    found = [one for one in decisions if isinstance(one, Ban)]
    assert len(found) == len(list(decisions))
    return found


def question(decisions: list[Event]) -> AccountCheck:
    """The one question that the decisions consist of."""
    (one,) = decisions
    assert isinstance(one, AccountCheck)
    return one


def subject(text: str = ONE) -> Subject:
    """The subject of one IPv4 address."""
    return Subject(f"{text}/32")


def net(text: str) -> Network:
    return ip_network(text)

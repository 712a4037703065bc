"""One booted mail host for all tests in this folder, and how fast it was, told at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.host.attackers import Internet
from tests.e2e.host.boot import ADDRESSES6, missing
from tests.e2e.host.install import layers
from tests.e2e.host.judge import summary
from tests.e2e.host.mailhost import SMTP, STRANGERS4, MailHost
from tests.e2e.host.root import release
from tests.real.conftest import skip_or_fail

Strangers = Callable[[int], list[str]]
Settle = Callable[[], None]


@pytest.fixture(scope="package")
def booted() -> Iterator[MailHost]:
    """A mail host with mailbanned, installed as README.md says."""
    if reason := missing():
        skip_or_fail(reason)
    made = layers()
    try:
        with MailHost(made) as host:
            yield host
    finally:
        release(*made)


@pytest.fixture
def host(booted: MailHost, request: pytest.FixtureRequest) -> Iterator[MailHost]:
    """The mail host, wholly at work again; after a test that failed it is another one."""
    failures = request.session.testsfailed
    good = False
    try:
        booted.wait_ready()
        booted.wait(lambda: not booted.status()["breaker"]["open"], "no outage goes on")
        yield booted
        good = request.session.testsfailed == failures
    finally:
        if not good:
            booted.renew()


@pytest.fixture
def internet(host: MailHost) -> Iterator[Internet]:
    """Where the host's clients come from."""
    with Internet(host) as made:
        yield made


@pytest.fixture(scope="package")
def strangers() -> Strangers:
    """Hands out addresses that nobody has come from yet."""
    left = iter(STRANGERS4)
    return lambda count: [next(left) for _ in range(count)]


@pytest.fixture(scope="package")
def strangers6() -> Strangers:
    """The same for IPv6, each in a /64 of its own."""
    left = iter(ADDRESSES6)
    return lambda count: [next(left) for _ in range(count)]


@pytest.fixture
def settle(host: MailHost, internet: Internet, strangers: Strangers) -> Settle:
    """Returns when all counts that the mail servers have logged until now.

    Two attackers who come last, and are seen in one log each, say so by being banned.
    """

    def wait() -> None:
        smtp, imap = strangers(2)
        session = internet.smtp(smtp, SMTP)
        for name in ("ann", "ben", "cat"):
            session.address_to(f"{name}@example.org")
        internet.imap(imap).login_as("oracle@example.org")
        host.wait_denied(f"{smtp}/32", f"{imap}/32")

    return wait


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How long attackers were answered after the answer that decided."""
    lines = summary()
    if len(lines) > 1:
        terminalreporter.section("reaction of the mail host, seen by its attackers")
        for line in lines:
            terminalreporter.write_line(line)

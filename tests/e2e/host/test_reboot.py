"""A reboot of the whole host under attack."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.e2e.host.attackers import Internet
from tests.e2e.host.conftest import Strangers
from tests.e2e.host.judge import Probe
from tests.e2e.host.mailhost import IMAP, SMTP, SUBMISSION, MailHost

pytestmark = pytest.mark.real


def test_reboot(host: MailHost, internet: Internet, strangers: Strangers) -> None:
    """Bans are back in force before a mail server answers those who are banned."""
    banned, free = strangers(2)
    with Probe(host, [banned]) as probe:
        session = internet.smtp(banned, SMTP)
        for name in ("ann", "ben", "cat"):
            session.address_to(f"{name}@example.org")
        probe.closed(banned)
    answered: set[tuple[str, int]] = set()
    expected = {(free, port) for port in (SMTP, SUBMISSION, IMAP)}
    over = threading.Event()

    def knock(source: str, port: int) -> None:
        while not over.is_set():
            with suppress(OSError):
                internet.dial(source, port, 0.2).close()
                answered.add((source, port))
            over.wait(0.02)

    host.reboot()
    with ThreadPoolExecutor() as pool:
        for source in (banned, free):
            for port in (SMTP, SUBMISSION, IMAP):
                pool.submit(knock, source, port)
        try:
            host.wait_ready()
            host.wait_denied(f"{banned}/32")
            host.wait(lambda: expected <= answered, "all servers answer")
        finally:
            over.set()
    assert answered == expected

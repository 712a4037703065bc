"""Real servers for the tests in this folder. Missing ones skip a test, but fail it in CI."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import NoReturn

import pytest

from tests.real.lab import Lab, missing
from tests.real.mail_database import MailDatabase
from tests.real.mariadb import MariaDB


def skip_or_fail(reason: str) -> NoReturn:
    """Ends a test whose real server is missing: a skip for people, a failure in CI."""
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A mail host and its attackers in namespaces, with a real firewalld."""
    if reason := missing():
        skip_or_fail(reason)
    with Lab() as made:
        yield made


@pytest.fixture(autouse=True)
def _reset_lab(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test leaves bans or a stopped firewalld to the next one, least of all one that failed."""
    failures = request.session.testsfailed
    yield
    if "lab" in request.fixturenames:
        lab: Lab = request.getfixturevalue("lab")
        if request.session.testsfailed > failures:
            lab.remake()
        else:
            lab.reset()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A running MariaDB server, ended and deleted after the last test."""
    try:
        server = MariaDB()
    except FileNotFoundError as error:
        skip_or_fail(str(error))
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def mail(mariadb: MariaDB) -> AsyncIterator[MailDatabase]:
    """A fresh mail database on that server."""
    database = MailDatabase(mariadb)
    yield database
    await database.close()

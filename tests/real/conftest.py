"""Real servers for the tests in this folder. Missing ones skip a test, but fail it in CI."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.real.mail_database import MailDatabase
from tests.real.mariadb import MariaDB


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A running MariaDB server, ended and deleted after the last test."""
    try:
        server = MariaDB()
    except FileNotFoundError as error:
        if "CI" in os.environ:
            pytest.fail(str(error))
        pytest.skip(str(error))
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

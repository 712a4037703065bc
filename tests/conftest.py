"""What holds for every test: what it leaves behind, and how hypothesis judges examples."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

from tests import leftovers
from tests.waiting import skipped_time

# How long an example or its drawing takes says something about the machine and its load, not about
# the program. A fixture that every example of a test shares is written to be shared.
settings.register_profile(
    "mailbanned",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("mailbanned")


def pytest_configure(config: pytest.Config) -> None:
    """Registers our plugin, unless the command line has done so."""
    if not config.pluginmanager.is_registered(leftovers):
        config.pluginmanager.register(leftovers)


@pytest.fixture
async def skipping() -> AsyncIterator[None]:
    """The loop of the test waits for no timer; see skipped_time."""
    with skipped_time():
        yield

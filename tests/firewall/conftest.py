"""A scripted firewall, and the list of what its enforcer has reported."""

from __future__ import annotations

import pytest

from mailbanned.address import Subject
from tests.firewall.support import ScriptedFirewall


@pytest.fixture
async def firewall() -> ScriptedFirewall:
    """A firewall that does as the test says."""
    return ScriptedFirewall()


@pytest.fixture
async def reported() -> list[Subject]:
    """The subjects that the enforcer has reported in force."""
    return []

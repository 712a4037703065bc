"""The null twin keeps the contract of the real backends."""

from __future__ import annotations

import pytest

from mailbanned.firewall import BACKENDS, Firewall
from tests.firewall.contract import FirewallContract


class TestDryRun(FirewallContract):
    """DryRun, made the way the daemon makes it."""

    @pytest.fixture
    async def firewall(self) -> Firewall:
        firewall = BACKENDS["dry-run"]("", "drop")
        await firewall.connect()
        return firewall

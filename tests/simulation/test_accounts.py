"""The account cache, in simulated orders of events."""

from __future__ import annotations

from tests.simulation.asking import CacheSimulation
from tests.simulation.campaign import failures


def test_any_order_of_events() -> None:
    """Whatever the database does, questions have true answers in time, and it is left in peace."""
    assert failures(CacheSimulation(), range(1000, 1300)) == []

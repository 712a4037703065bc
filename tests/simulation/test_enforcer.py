"""The enforcer, its reconciler and its interim bans, in simulated orders of events."""

from __future__ import annotations

from tests.simulation.campaign import failures
from tests.simulation.enforcing import EnforcerSimulation

#: Seeds that have shown a fault, and which.
KEPT = {
    16: "a refused ban was waited for, as if it could come into force",
    39: "an interim ban put again within the second after its end kept its old end",
    40: "a ban wanted once more while its rule was taken was said to be in force",
    45: "a ban wanted once more before its interim ban was taken had none then",
    57: "an interim ban that was put late was forgotten too early, and outlived the ban",
    129: "a restart before the cut: connections of the banned were left open",
    544: "interim bans of an earlier run that could not be listed kept their old ends",
    856: "an interim ban was forgotten when a change failed, and outlived the ban",
    2686: "an interim ban lapsed while it was put again, and nothing was cut",
    102362: "an interim ban of an earlier run was believed in for longer than it lasted",
    197853650227: "an interim ban whose renewal failed kept its old end when it was added later",
    197853653473: "a flush after one that was stopped was judged as if bans were enforced",
}


def test_seeds_that_failed_once() -> None:
    """No fault that was found once is there again."""
    assert failures(EnforcerSimulation(), KEPT) == []


def test_any_order_of_events() -> None:
    """Whatever the firewall does, what is said is so, and in the end it holds what is wanted."""
    assert failures(EnforcerSimulation(), range(1000, 1300)) == []

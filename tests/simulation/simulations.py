"""The simulations that there are, by name."""

from __future__ import annotations

from tests.simulation.asking import CacheSimulation
from tests.simulation.driver import FileSimulation
from tests.simulation.enforcing import EnforcerSimulation
from tests.simulation.reading import JournalSimulation
from tests.simulation.simulation import Simulation

_ALL: tuple[Simulation, ...] = (
    FileSimulation(),
    JournalSimulation(),
    EnforcerSimulation(),
    CacheSimulation(),
)
SIMULATIONS = {simulation.name: simulation for simulation in _ALL}

"""A soak of less than a minute; `./dev soak` goes on for as long as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.soak.scene import Scene
from tests.e2e.soak.soak import Soak
from tests.real.conftest import skip_or_fail
from tests.real.lab import missing

pytestmark = pytest.mark.real

ROUNDS = (
    ("rename", "crash", "bad-config", "kill"),
    ("by-hand", "accounts", "reload"),
    ("copytruncate", "good-config", "stop"),
)


def test_what_is_wanted_is_in_the_kernel_whatever_happens(tmp_path: Path) -> None:
    """Through a dozen faults no line is lost, and oracle, ledger, file and kernel agree."""
    if reason := missing():
        skip_or_fail(reason)
    with Scene(tmp_path, "firewalld") as scene:
        soak = Soak(scene, seed=1)
        for faults in ROUNDS:
            soak.round(faults, pause=0.3)

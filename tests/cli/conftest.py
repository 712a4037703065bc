from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import Hall


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    """A configuration with two small filters and three jails."""
    return Hall(tmp_path)

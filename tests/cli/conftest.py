from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import Hall


@pytest.fixture
def hall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hall:
    """A configuration with two small filters and four jails, on a host in UTC."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Hall(tmp_path)

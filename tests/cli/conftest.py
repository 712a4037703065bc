from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import Hall


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """A configuration with two small filters and four jails, on a host in UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        patch.delenv("NO_COLOR", raising=False)
        yield Hall(tmp_path)
    time.tzset()  # commands in this process have set the zone

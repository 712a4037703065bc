from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.strangers import open_folder


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Where a socket may stand: in a short path (the kernel's limit) that strangers may enter."""
    with open_folder() as folder:
        yield folder / "control.sock"

"""A folder with a configuration and empty logs, and a daemon at work in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Running, write_config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration for the dry-run firewall and three empty logs."""
    write_config(tmp_path)
    for name in ("postfix.log", "dovecot.log", "secure"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def daemon(folder: Path) -> Iterator[Running]:
    """A daemon that answers."""
    with Running(folder) as running:
        yield running

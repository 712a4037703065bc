"""Runs a piece of Python as another user of this machine, for what root alone would never meet."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import pytest

#: "nobody" on every distribution; owns nothing.
STRANGER = 65534
_ROOT = Path(__file__).parents[1]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_stranger(imports: str, code: str, *arguments: str, group: int = STRANGER) -> str:
    """What the code prints as a stranger in the group; `arguments` are its sys.argv[1:].

    Imports are done before, since a stranger may not be able to enter this checkout.
    """
    become = f"os.setgroups([]); os.setgid({group}); os.setuid({STRANGER})"
    script = f"import os, sys\n{imports}\n{become}\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True, text=True, timeout=300, check=False,
        cwd=_ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder with a short name that strangers may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="mb-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        rmtree(folder)

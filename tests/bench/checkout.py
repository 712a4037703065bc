"""Which commit is measured, and whether it is what lies in the folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

#: The top of this checkout.
TOP = Path(__file__).parents[2]


class Unclean(Exception):
    """The folder is not one commit; says why."""


def commit(top: Path = TOP) -> str:
    """The commit that is checked out; Unclean if files differ from it outside docs/benchmarks."""
    changes = _git(top, "status", "--porcelain", "--", ".", ":(exclude)docs/benchmarks")
    if changes:
        raise Unclean(f"there are changes that are not committed:\n{changes}")
    return _git(top, "rev-parse", "HEAD").strip()


def _git(top: Path, *arguments: str) -> str:
    command = ["git", "-C", str(top), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unclean("git is not installed") from None
    if done.returncode:
        raise Unclean(f"git says: {done.stderr.strip()}")
    return done.stdout.rstrip()

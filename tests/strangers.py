"""Runs programs without root's rights, for what root alone would never meet.

The interpreter may live where strangers may not go, such as below /root. So what runs as a stranger
is imported before it becomes one, and a whole program stays the user who owns this checkout.
"""

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

from tests.waiting import HANG_S

#: "nobody" on every distribution; owns nothing.
STRANGER = 65534
_ROOT = Path(__file__).parents[1]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_stranger(imports: str, code: str, *arguments: str, group: int = STRANGER) -> str:
    """What the code prints as a stranger in the group; `arguments` are its sys.argv[1:].

    All that it needs must be among the imports: a stranger may be able to enter neither this
    checkout nor the folders of the interpreter.
    """
    become = f"os.setgroups([]); os.setgid({group}); os.setuid({STRANGER})"
    script = f"import os, sys\n{imports}\n{become}\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True, text=True, timeout=HANG_S, check=False,
        cwd=_ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def own(*paths: Path) -> list[str]:
    """Gives files to the owner of this checkout; returns the words that run a command as that user.

    The command has no rights but those of their owner, even if that is root: what has no permission
    bits is closed to it. It can load the interpreter, wherever that lives.
    """
    if os.geteuid() != 0:
        return []  # we are such a user
    owner = _ROOT.stat()
    for path in paths:
        os.chown(path, owner.st_uid, owner.st_gid)
    rights = "-dac_override,-dac_read_search"
    user = (f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups")
    return ["setpriv", *user, f"--bounding-set={rights}", f"--inh-caps={rights}"]


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder with a short name that strangers may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="mb-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        rmtree(folder)

"""`mailbanned` commands: `cli` runs one in this process, `program` runs the installed one.

Known limits: the streams of `cli` are no files, so what pipes, terminals, signals and the limits of
a process do to a command is for `program`, and so is `run`. Nothing ends a `cli` that hangs, and
two threads cannot use it at once.
"""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from mailbanned.cli import main
from tests.waiting import HANG_S

MAILBANNED = str(Path(sys.executable).with_name("mailbanned"))

Completed = subprocess.CompletedProcess[str]


def cli(*arguments: str, stdin: str | bytes = "") -> Completed:
    """A `mailbanned` command in this process, with streams of its own; output as text.

    It sees the environment as it is now, $TZ included. An error that `main` lets through is raised.
    """
    argv = ["mailbanned", *arguments]
    given = io.TextIOWrapper(io.BufferedReader(io.BytesIO(_bytes(stdin))), encoding="utf-8")
    raw = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(one, encoding="utf-8") for one in raw)
    time.tzset()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"argv": argv, "stdin": given, "stdout": out, "stderr": err}.items():
            patch.setattr(sys, name, value)
        # click calls itself by the name of the main module, which here is that of pytest.
        patch.setitem(sys.modules, "__main__", ModuleType("__main__"))
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    assert isinstance(status, int)
    out.flush()
    err.flush()
    return subprocess.CompletedProcess(argv, status, *(one.getvalue().decode() for one in raw))


def program(*arguments: str, stdin: str | bytes = "") -> Completed:
    """The installed `mailbanned` as a process, with pipes; output as text."""
    argv = [MAILBANNED, *arguments]
    result = subprocess.run(argv, input=_bytes(stdin), capture_output=True, timeout=HANG_S)
    return subprocess.CompletedProcess(
        argv, result.returncode, result.stdout.decode(), result.stderr.decode()
    )


def _bytes(given: str | bytes) -> bytes:
    return given.encode() if isinstance(given, str) else given

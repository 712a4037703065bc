"""`./dev`, the entry for everybody who works on it: usage, set-up, and sentences when that fails.

Set-up is tested with a Python that only writes down what it was asked to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.waiting import HANG_S

TOP = Path(__file__).resolve().parent.parent
SCRIPTS = [TOP / "dev", TOP / ".ci" / "run"]
_TOOLS = ("sh", "cat", "cksum", "cp", "dirname", "head", "id", "mkdir", "readlink", "sed", "tail")

# Stands for python3, and for every program that it "installs" into .venv.
_FAKE = """#!/bin/sh
echo "$*" >>calls
case "$1 $2" in
"-c import sys; sys.exit(sys.version_info < (3, 11))") exit {old} ;;
"-c "*) exit 0 ;;
"-m venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && cp "$0" .venv/bin/ruff ;;
"-m pip") printf 'error: see below\n  ERROR: no network\nhint: none\n' >&2; exit {pip} ;;
esac
"""


def call(script: Path, *arguments: str, path: object) -> subprocess.CompletedProcess[str]:
    """Runs a script from a folder of no meaning, with the programs of `path` before all others."""
    return subprocess.run(
        [str(script), *arguments], capture_output=True, text=True, check=False, timeout=HANG_S,
        cwd="/", env={**os.environ, "PATH": str(path)},
    )  # fmt: skip


class Checkout:
    """A copy of `dev` in a folder, with nothing on its path but a fake Python."""

    def __init__(self, folder: Path, *, old: bool = False, pip_fails: bool = False) -> None:
        self.folder = folder
        self.tools = folder / "tools"
        self.tools.mkdir()
        for tool in _TOOLS:
            (self.tools / tool).symlink_to(str(shutil.which(tool)))
        for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
            self.add_python(name, old=old, pip_fails=pip_fails)
        shutil.copy(TOP / "dev", folder)
        (folder / "pyproject.toml").write_text("first")

    def add_python(self, name: str, *, old: bool = False, pip_fails: bool = False) -> None:
        """Puts a fake Python on the path."""
        program = self.tools / name
        program.write_text(_FAKE.format(old=int(old), pip=int(pip_fails)))
        program.chmod(0o755)

    def dev(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`./dev` of this checkout."""
        return call(self.folder / "dev", *arguments, path=self.tools)

    def installs(self) -> int:
        """How often packages were installed."""
        return (self.folder / "calls").read_text().count("-m pip")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_syntax(script: Path, shell: str) -> None:
    """Every POSIX shell can read the scripts."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert os.access(script, os.X_OK)
    result = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [(), ("frobnicate",)])
def test_usage(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Without a verb, or with one that is none, stderr shows the usage and nothing is done."""
    checkout = Checkout(tmp_path)
    result = checkout.dev(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    for verb in ("run [--exit]", "test", "check", "format", "bench"):
        assert f"  {verb}" in result.stderr
    assert ("there is no verb 'frobnicate'" in result.stderr) == bool(arguments)
    assert not (tmp_path / ".venv").exists()


def test_help() -> None:
    """Asking for help is not a mistake."""
    result = call(TOP / "dev", "--help", path=os.environ["PATH"])
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: ./dev VERB")


def test_set_up_once(tmp_path: Path) -> None:
    """Packages are installed at the first call, and again only when pyproject.toml has changed."""
    checkout = Checkout(tmp_path)
    first = checkout.dev("format")
    assert first.returncode == 0
    assert "makes .venv" in first.stderr
    second = checkout.dev("format")
    assert second.stderr == "dev: puts imports and layout in order\n"
    assert checkout.installs() == 1
    (tmp_path / "pyproject.toml").write_text("second")
    assert "up to date" in checkout.dev("format").stderr
    assert checkout.installs() == 2


def test_moved(tmp_path: Path) -> None:
    """A checkout that was moved or copied gets its packages anew: .venv holds absolute paths."""
    (tmp_path / "before").mkdir()
    checkout = Checkout(tmp_path / "before")
    checkout.dev("format")
    checkout.folder = (tmp_path / "before").rename(tmp_path / "after")
    checkout.tools = tmp_path / "after" / "tools"
    checkout.dev("format")
    assert checkout.installs() == 2


def test_symlink(tmp_path: Path) -> None:
    """Called through a symlink from elsewhere, it works on the checkout that it belongs to."""
    (tmp_path / "checkout").mkdir()
    checkout = Checkout(tmp_path / "checkout")
    link = tmp_path / "link"
    link.symlink_to(checkout.folder / "dev")
    assert call(link, "format", path=checkout.tools).returncode == 0
    assert (checkout.folder / ".venv").is_dir()


def test_old_python(tmp_path: Path) -> None:
    """Without a Python that is new enough, one sentence says what to install."""
    result = Checkout(tmp_path, old=True).dev("format")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "dev: there is no Python 3.11 or newer here; install python3.11 or later, and call again\n"
    )


def test_newer_python_beside(tmp_path: Path) -> None:
    """If python3 is too old, a newer one beside it is found."""
    checkout = Checkout(tmp_path, old=True)
    checkout.add_python("python3.12")
    result = checkout.dev("format")
    assert result.returncode == 0
    assert "makes .venv with python3.12" in result.stderr


def test_install_fails(tmp_path: Path) -> None:
    """If packages cannot be installed, a sentence says why, and the next call tries again."""
    checkout = Checkout(tmp_path, pip_fails=True)
    for _ in range(2):
        result = checkout.dev("format")
        assert result.returncode == 1
        assert result.stderr.splitlines()[-1] == (
            "dev: cannot install the Python packages: ERROR: no network"
        )

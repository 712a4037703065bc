"""The packages keep their layers (pyproject.toml, import-linter), and files their length."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import mailbanned

PACKAGE = Path(mailbanned.__file__).parent


def contracts(kind: str) -> list[dict[str, Any]]:
    """The contracts of one type in pyproject.toml."""
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    return [
        contract
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == kind
    ]


def lint_imports(config: Path) -> subprocess.CompletedProcess[str]:
    """Checks the imports of the package by the contracts in a file."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", config, "--no-cache"],
        cwd=PACKAGE.parent,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )


def test_imports_keep_the_layers() -> None:
    """No import leads upward, sideways or in a circle, and each library has its place."""
    done = lint_imports(PACKAGE.parent / "pyproject.toml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_upward_import_is_found(tmp_path: Path) -> None:
    """With two layers the other way round, the check fails and names the imports."""
    config = tmp_path / "pyproject.toml"
    layers = (PACKAGE.parent / "pyproject.toml").read_text()
    assert '    "filters",\n    "logformat",\n' in layers
    config.write_text(
        layers.replace('    "filters",\n    "logformat",\n', '    "logformat",\n    "filters",\n')
    )
    done = lint_imports(config)
    assert done.returncode == 1
    assert "mailbanned.filters is not allowed to import mailbanned.logformat" in done.stdout


def test_files_fit_a_reader() -> None:
    """No module is longer than 500 lines."""
    lengths = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {str(path): length for path, length in lengths.items() if length > 500} == {}

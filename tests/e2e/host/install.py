"""The whole root folder of a mail host: Debian, its servers, and mailbanned as README.md says.

pip runs on this machine, where it knows its way to the packages, and fetches them for the other
Python; inside, nothing needs a network.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.e2e.host.root import SCRIPTS, Layer, digest, obtain

_CHECKOUT = Path(__file__).resolve().parents[3]
_FILES = Path(__file__).parent / "files"
_SOURCES = ("mailbanned", "config", "systemd", "pyproject.toml", "README.md", "LICENSE")
_PYTHON = "3.13"  # of Debian trixie
_LIBCS = ("manylinux_2_17", "manylinux2014", "manylinux_2_24", "manylinux_2_27", "manylinux_2_28")


def layers() -> list[Layer]:
    """All layers, the lowest first; what is not in the cache is made, which takes minutes."""
    base = obtain("base", SCRIPTS / "base.sh")
    servers = obtain("servers", SCRIPTS / "servers.sh", [base], of=digest(_FILES), fill=_files)
    packages = _packages()
    below = [base, servers]
    wheels = obtain("wheels", SCRIPTS / "wheels.sh", below, of=digest(*packages), fill=_wheels)
    sources = digest(*(_CHECKOUT / name for name in _SOURCES))
    below = [*below, wheels]
    program = obtain("mailbanned", SCRIPTS / "mailbanned.sh", below, of=sources, fill=_checkout)
    return [*below, program]


def commands() -> str:
    """The commands with which README.md installs mailbanned, up to where it asks for changes."""
    readme = (_CHECKOUT / "README.md").read_text()
    section = re.search(r"^## Install it.*?$(.*?)^Now open", readme, re.MULTILINE | re.DOTALL)
    assert section, "README.md says how to install it"
    return "".join(f"{line[4:]}\n" for line in section[1].splitlines())


def _files(folder: Path) -> None:
    shutil.copytree(_FILES, folder, dirs_exist_ok=True)


def _packages() -> list[str]:
    project = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text())
    return [*project["build-system"]["requires"], *project["project"]["dependencies"]]


def _wheels(folder: Path) -> None:
    platforms = [f"--platform={libc}_{platform.machine()}" for libc in _LIBCS]
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"),
            *(f"--python-version={_PYTHON}", "--implementation=cp", *platforms),
            *("--dest", str(folder), *_packages()),
        ],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if result.returncode != 0:
        raise RuntimeError(f"pip cannot fetch mailbanned's packages:\n{result.stderr[-4000:]}")


def _checkout(folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    for name in _SOURCES:
        source = _CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder)
    (folder / "install.sh").write_text(commands())

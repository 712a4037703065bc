"""The layers of a mail host's root folder, made once and kept in a cache of this machine.

A layer is named by what it is made of: its recipe, its input and the layers below. It is made under
a temporary name and renamed, so that there are whole layers only. Who uses a layer holds a lock on
its folder; unused layers of the same name are removed when a new one is made.

Known limit: a layer of packages stays as it is, whatever the distribution has released since.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"
_MIRROR = "http://deb.debian.org/debian"
_SECONDS = 900.0  # for a layer, over a slow network

# Starts a program that lives no longer than this one, in mount and pid namespaces of its own.
OWN = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--"),
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its files, and the open file that keeps it locked."""

    key: str
    tree: Path
    lock: int


def cache() -> Path:
    """The folder in which layers are kept; made if need be."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home, "mailbanned")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest(*parts: str | Path) -> str:
    """A name for texts, files, and folders with all that is in them."""
    total = sha256()
    for part in parts:
        for name, data in _contents(part):
            total.update(f"{name}\0{len(data)}\0".encode() + data)
    return total.hexdigest()[:16]


def obtain(
    name: str,
    recipe: Path,
    below: Sequence[Layer] = (),
    *,
    of: str = "",
    fill: Callable[[Path], object] | None = None,
) -> Layer:
    """The layer that a recipe makes on top of others; from the cache if it was made before.

    fill: puts the recipe's input into a folder, which the recipe finds at /mnt; called only if the
    layer has to be made. of: the digest of that input. Raises RuntimeError with the end of what the
    recipe said.
    """
    build = SCRIPTS / "build.sh"
    key = digest(build, recipe, of, platform.machine(), *(layer.key for layer in below))
    place = cache() / f"{name}-{key}"
    while (layer := _find(place, key)) is None:
        _remove_unused(name)
        with _part(place) as part:
            _make(part, recipe, below, fill)
            with suppress(OSError):  # somebody else may have made it meanwhile
                part.rename(place)
    return layer


def release(*layers: Layer) -> None:
    """The layers may be removed from now on."""
    for layer in layers:
        os.close(layer.lock)


def _find(place: Path, key: str) -> Layer | None:
    try:
        lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    fcntl.flock(lock, fcntl.LOCK_SH)
    if (place / "tree").exists():
        return Layer(key, place / "tree", lock)
    os.close(lock)  # removed between the two
    return None


@contextmanager
def _part(place: Path) -> Iterator[Path]:
    """A locked folder for a layer that is being made; gone afterwards unless it was renamed."""
    part = Path(f"{place}.{os.getpid()}.part")
    part.mkdir()
    with _open(part) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _open(folder: Path) -> Iterator[int]:
    """A file descriptor of a folder, to be locked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _make(
    part: Path, recipe: Path, below: Sequence[Layer], fill: Callable[[Path], object] | None
) -> None:
    given = part / "input"
    given.mkdir()
    if fill is not None:
        fill(given)
    lower = ":".join(str(layer.tree) for layer in reversed(below))
    result = subprocess.run(
        [*OWN, "sh", SCRIPTS / "build.sh", part, lower, recipe, given],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=_SECONDS, check=False, env={"MIRROR": _mirror(), **os.environ},
    )  # fmt: skip
    if result.returncode != 0:
        raise RuntimeError(f"{recipe.name} failed:\n{result.stdout[-4000:]}")
    for rest in ("input", "work", "root"):
        shutil.rmtree(part / rest, ignore_errors=True)


def _remove_unused(name: str) -> None:
    """Removes layers of a name that nobody uses, and what interrupted builds have left."""
    for folder in cache().glob(f"{name}-*"):
        with suppress(FileNotFoundError, BlockingIOError), _open(folder) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _mirror() -> str:
    """The mirror from which this machine has its own Debian packages, if it has one."""
    lists = Path("/etc/apt").glob("sources.list*"), Path("/etc/apt/sources.list.d").glob("*.*s*")
    for path in (path for paths in lists for path in sorted(paths) if path.is_file()):
        if found := re.search(
            r"^[^#\n]*?(https?://\S+/debian)/?\s", path.read_text(), re.MULTILINE
        ):
            return found[1]
    return _MIRROR


def _contents(part: str | Path) -> Iterator[tuple[str, bytes]]:
    if isinstance(part, str):
        yield "", part.encode()
    elif part.is_file():
        yield part.name, part.read_bytes()
    else:
        for path in sorted(part.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(part)), path.read_bytes()

"""How rotated files are named, and which there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path


class Names:
    """The names of the files that a log is rotated to.

    naming: "number" mail.log.1, "inside" mail.1.log (both move up),
        "date" mail.log-20260501-000001, "epoch" mail.log-1777608001,
        "link" as "date", and the log is a link to the newest of them.
    """

    def __init__(self, path: Path, naming: str) -> None:
        self.linked = naming == "link"
        self._path = path
        self._naming = naming
        self._rotations = 0

    def next(self) -> Path:
        """The name for the next rotated file; with numbers, after the others have moved up."""
        self._rotations += 1
        if self._naming in ("number", "inside"):
            return self._numbered(1)
        if self._naming == "epoch":
            return Path(f"{self._path}-{1_777_608_000 + self._rotations}")
        return Path(f"{self._path}-20260501-{self._rotations:06}")

    def rotated(self) -> list[Path]:
        """The rotated files that are there, oldest first; packed ones too."""
        found = [path for path in self._path.parent.iterdir() if self._place(path) is not None]
        return sorted(found, key=lambda path: (self._place(path), path.name))

    def moved_up(self) -> Iterator[tuple[Path, Path]]:
        """With numbers: which files are to be renamed to which, in order."""
        if self._naming not in ("number", "inside"):
            return
        for path in self.rotated():
            packed = ".gz" if path.suffix == ".gz" else ""
            number = -(self._place(path) or 0)
            yield path, Path(f"{self._numbered(number + 1)}{packed}")

    def _numbered(self, number: int) -> Path:
        if self._naming == "number":
            return Path(f"{self._path}.{number}")
        return self._path.with_name(f"{self._path.stem}.{number}{self._path.suffix}")

    def _place(self, path: Path) -> int | None:
        """The place of a rotated file among the others; None if it is none of this log."""
        name = path.name.removesuffix(".gz")
        stem, suffix = re.escape(self._path.stem), re.escape(self._path.suffix)
        if self._naming == "inside":
            found = re.fullmatch(rf"{stem}\.(\d+){suffix}", name)
        elif self._naming == "number":
            found = re.fullmatch(rf"{stem}{suffix}\.(\d+)", name)
        else:
            found = re.fullmatch(rf"{stem}{suffix}-(?:20260501-)?(\d+)", name)
        if found is None:
            return None
        return -int(found[1]) if self._naming in ("number", "inside") else int(found[1])

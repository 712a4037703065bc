"""What a path (or glob) leads to at the moment: log files, what stands in their way, directories.

Only looks at names and at what they lead to; nothing is opened. A FIFO, socket or device is never
a log: opening one could block or do harm. Files that were rotated away are no logs of their own,
even if a glob matches them.

What became of a log that was rotated: the files beside it, told by their names, oldest first.

    mail.log.1  mail.1.log  mail.log.2.gz                  numbers; the highest is the oldest
    mail.log-20260501  mail.log.2026-05-01_06  mail-20260501.log.gz  mail.log-1777610588    times

Only looks at names and at what a directory says of them; nothing is opened.

Known limits. Files that logrotate puts into another directory (olddir) are not found. Where several
ways of naming stand side by side, because the rotation was set up anew, the files of the way that
was used last are taken for the younger ones.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mailbanned.sources.file.checkpoint import Identity
from mailbanned.sources.health import Problem, unreadable


@dataclass(frozen=True, slots=True)
class Discovery:
    """files: the regular files; troubles: other matches; directories: where changes would show."""

    files: dict[str, Identity] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)


def discover(pattern: str, logs: Collection[str] = ()) -> Discovery:
    """Looks at everything that a glob, or a plain path, leads to now.

    logs: paths that are known as logs. What was rotated away from one of them, or from another
    match, is no log of its own.
    """
    found = Discovery(directories=_directories(pattern))
    matches = _matches(pattern)
    logs = {*logs, *matches}
    for path in matches:
        if not logs.isdisjoint(possible_originals(path)):
            continue
        try:
            status = Path(path).lstat()
            if stat.S_ISLNK(status.st_mode):
                found.directories.add(str(Path(os.path.realpath(path)).parent))
                status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            found.problems[path] = unreadable(path, error)
            continue
        if stat.S_ISREG(status.st_mode):
            found.files[path] = (status.st_dev, status.st_ino)
        else:
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
            remedy = "name the log file itself, or remove what is in its place"
            found.problems[path] = Problem("waiting", f"{path} is {kind}; {remedy}")
    return found


def _matches(pattern: str) -> list[str]:
    """As in a shell: hidden files, such as the temporary ones of rsync, match no wildcard."""
    return sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207


def _directories(pattern: str) -> set[str]:
    """The directories in which a match, or a directory on the way to one, may appear."""
    level = str(Path(pattern).parent)
    directories = set(_matches(level))
    while glob.has_magic(level):
        level = str(Path(level).parent)
        directories.update(_matches(level))
    return directories


# Of these only gzip's can be read; the others are told of when they are needed.
_PACKED = re.compile(r"\.(?:gz|bz2|xz|zst|lz4|Z)\Z")
_NUMBER = r"\.(?P<number>\d{1,5})"
_DATE = r"[-._](?P<date>(?:19|20)\d\d-?[01]\d-?[0-3]\d(?:[-._T]?\d+)*)"
_EPOCH = r"[-._](?P<epoch>\d{10,})"
_ADDED = re.compile(rf"(?:{_NUMBER}|{_DATE}|{_EPOCH})\Z")


class RotatedFile(NamedTuple):
    """A file that may have been the log before.

    rotation_key: how it was named and its place among those named in the same way; None if its
        name does not say that it was the log.
    mtime_ns: when it was last written to (mtime, ns). size: in bytes, as it is on the disk.
    """

    path: str
    identity: Identity
    compressed: bool
    rotation_key: tuple[str, str] | None
    mtime_ns: int
    size: int


def find_rotated(path: str, inodes: Collection[int] = ()) -> list[RotatedFile]:
    """The regular files that may have been the log at a path before, oldest first.

    They are in the directory of the path, or of what it leads to. inodes: files with these numbers
    are listed whatever their names are.
    """
    files: dict[Identity, RotatedFile] = {}
    for log in sorted({Path(path), Path(os.path.realpath(path))}):
        for file in _beside(log, inodes):
            if file.rotation_key or file.identity not in files:
                files[file.identity] = file
    found: dict[tuple[str, str] | Identity, RotatedFile] = {}
    for file in files.values():
        key = file.rotation_key or file.identity
        # While a file is being packed both are there, and only the plain one is whole.
        if key not in found or found[key].compressed:
            found[key] = file
    used: dict[tuple[str, str] | str, int] = {}
    for one in found.values():
        way = one.rotation_key[0] if one.rotation_key else one.path
        used[way] = max(used.get(way, 0), one.mtime_ns)

    def age(one: RotatedFile) -> tuple[int, str, str]:
        way, place = one.rotation_key or (one.path, "")
        return used[way], way, place

    return sorted(found.values(), key=age)


def possible_originals(path: str) -> set[str]:
    """The logs that a file of this name may have been; empty if it says nothing of the kind."""
    plain = _PACKED.sub("", path)
    extension = Path(plain).suffix
    stem = plain.removesuffix(extension)
    return {plain, _ADDED.sub("", plain), _ADDED.sub("", stem) + extension} - {path}


def is_compressed(path: str) -> bool:
    """Whether a name says that the file is packed."""
    return _PACKED.search(path) is not None


def _beside(log: Path, inodes: Collection[int]) -> Iterator[RotatedFile]:
    try:
        with os.scandir(log.parent) as entries:
            listed = list(entries)
    except OSError:
        return
    for entry in listed:
        named = _named(entry.name, log)
        if named is None and entry.inode() not in inodes:
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # renamed while we looked
            continue
        if stat.S_ISREG(status.st_mode):
            identity, packed = (status.st_dev, status.st_ino), is_compressed(entry.name)
            written = status.st_mtime_ns
            yield RotatedFile(entry.path, identity, packed, named, written, status.st_size)


def _named(name: str, log: Path) -> tuple[str, str] | None:
    """How a file was named that was the log before: the way and the place in it."""
    name = _PACKED.sub("", name)
    added = None
    if name.startswith(log.name):
        added = _ADDED.match(name, len(log.name))
    if added is None and name.startswith(log.stem) and name.endswith(log.suffix):
        added = _ADDED.match(name, len(log.stem), len(name) - len(log.suffix))
    if added is None:
        return None
    if added["number"]:
        return "number", f"{99_999 - int(added['number']):05}"
    way = "date" if added["date"] else "epoch"
    return way, re.sub(r"\D", "", added[way])

"""Discovers the log files at a path or glob, and the files that they were rotated to.

Only names, links and file types are examined; nothing is opened. A FIFO, socket or device is never
a log: opening one could block or do harm. Rotated files are not logs of their own, even if a glob
matches them; they are recognised by their names, and sorted oldest first:

    mail.log.1  mail.1.log  mail.log.2.gz                  numbers; the highest is the oldest
    mail.log-20260501  mail.log.2026-05-01_06  mail-20260501.log.gz  mail.log-1777610588    times

Known limits. Files that logrotate puts into another directory (olddir) are not found. If files are
named in more than one way, because the rotation was reconfigured, those named in the way that was
used last are taken for the younger ones.
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
    """What is at a path or glob.

    files: the regular files. problems: other matches. directories: where to watch for changes.
    """

    files: dict[str, Identity] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)


def discover(pattern: str, logs: Collection[str] = ()) -> Discovery:
    """Discovers the files that a glob or plain path matches now.

    logs: paths that are known as logs. Files rotated from them, or from another match, are left
        out.
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
    """Matches as a shell does: no wildcard matches hidden files (rsync's temporary ones)."""
    return sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207


def _directories(pattern: str) -> set[str]:
    """The directories in which a match, or a directory on the way to one, may appear."""
    level = str(Path(pattern).parent)
    directories = set(_matches(level))
    while glob.has_magic(level):
        level = str(Path(level).parent)
        directories.update(_matches(level))
    return directories


# Only gzip can be read; files in other formats are reported when they are needed.
_COMPRESSED = re.compile(r"\.(?:gz|bz2|xz|zst|lz4|Z)\Z")
_NUMBER = r"\.(?P<number>\d{1,5})"
_DATE = r"[-._](?P<date>(?:19|20)\d\d-?[01]\d-?[0-3]\d(?:[-._T]?\d+)*)"
_EPOCH = r"[-._](?P<epoch>\d{10,})"
_ADDED = re.compile(rf"(?:{_NUMBER}|{_DATE}|{_EPOCH})\Z")


class RotatedFile(NamedTuple):
    """A file that may have been the log before.

    rotation_key: the naming scheme, and a key that sorts the files of that scheme oldest first;
        None if its name is not that of a rotated file.
    size: in bytes, on the disk.
    """

    path: str
    identity: Identity
    compressed: bool
    rotation_key: tuple[str, str] | None
    mtime_ns: int
    size: int


def find_rotated(path: str, inodes: Collection[int] = ()) -> list[RotatedFile]:
    """The regular files that may have been the log at a path before, oldest first.

    They are in the directory of the path, or of the target of a link there. inodes: files with
    these inodes are listed whatever their names are.
    """
    files: dict[Identity, RotatedFile] = {}
    for log in sorted({Path(path), Path(os.path.realpath(path))}):
        for file in _beside(log, inodes):
            if file.rotation_key or file.identity not in files:
                files[file.identity] = file
    found: dict[tuple[str, str] | Identity, RotatedFile] = {}
    for file in files.values():
        key = file.rotation_key or file.identity
        # While a file is being compressed both exist, and only the plain one is complete.
        if key not in found or found[key].compressed:
            found[key] = file
    last_used: dict[str, int] = {}
    for file in found.values():
        scheme = file.rotation_key[0] if file.rotation_key else file.path
        last_used[scheme] = max(last_used.get(scheme, 0), file.mtime_ns)

    def age(file: RotatedFile) -> tuple[int, str, str]:
        scheme, order = file.rotation_key or (file.path, "")
        return last_used[scheme], scheme, order

    return sorted(found.values(), key=age)


def possible_originals(path: str) -> set[str]:
    """The logs that a file of this name may be rotated from; empty if it is not named so."""
    plain = _COMPRESSED.sub("", path)
    extension = Path(plain).suffix
    stem = plain.removesuffix(extension)
    return {plain, _ADDED.sub("", plain), _ADDED.sub("", stem) + extension} - {path}


def is_compressed(path: str) -> bool:
    """Whether a file name is that of a compressed file."""
    return _COMPRESSED.search(path) is not None


def _beside(log: Path, inodes: Collection[int]) -> Iterator[RotatedFile]:
    try:
        with os.scandir(log.parent) as entries:
            listed = list(entries)
    except OSError:
        return
    for entry in listed:
        key = _rotation_key(entry.name, log)
        if key is None and entry.inode() not in inodes:
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # renamed meanwhile
            continue
        if stat.S_ISREG(status.st_mode):
            yield RotatedFile(
                path=entry.path,
                identity=(status.st_dev, status.st_ino),
                compressed=is_compressed(entry.name),
                rotation_key=key,
                mtime_ns=status.st_mtime_ns,
                size=status.st_size,
            )


def _rotation_key(name: str, log: Path) -> tuple[str, str] | None:
    """The naming scheme of a rotated file and its order in it, None for any other name."""
    name = _COMPRESSED.sub("", name)
    added = None
    if name.startswith(log.name):
        added = _ADDED.match(name, len(log.name))
    if added is None and name.startswith(log.stem) and name.endswith(log.suffix):
        added = _ADDED.match(name, len(log.stem), len(name) - len(log.suffix))
    if added is None:
        return None
    if added["number"]:
        return "number", f"{99_999 - int(added['number']):05}"
    scheme = "date" if added["date"] else "epoch"
    return scheme, re.sub(r"\D", "", added[scheme])

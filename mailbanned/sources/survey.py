"""What a path (or glob) leads to at the moment: log files, what stands in their way, directories.

Only looks at names and at what they lead to; nothing is opened. A FIFO, socket or device is never
a log: opening one could block or do harm. Files that were rotated away are no logs of their own,
even if a glob matches them.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from mailbanned.sources.checkpoint import Identity
from mailbanned.sources.rotated import originals
from mailbanned.sources.troubles import Trouble, unreadable


@dataclass(frozen=True, slots=True)
class Survey:
    """files: the regular files; troubles: other matches; directories: where changes would show."""

    files: dict[str, Identity] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)


def survey(pattern: str, logs: Collection[str] = ()) -> Survey:
    """Looks at everything that a glob, or a plain path, leads to now.

    logs: paths that are known as logs. What was rotated away from one of them, or from another
    match, is no log of its own.
    """
    found = Survey(directories=_directories(pattern))
    matches = _matches(pattern)
    logs = {*logs, *matches}
    for path in matches:
        if not logs.isdisjoint(originals(path)):
            continue
        try:
            status = Path(path).lstat()
            if stat.S_ISLNK(status.st_mode):
                found.directories.add(str(Path(os.path.realpath(path)).parent))
                status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            found.troubles[path] = unreadable(path, error)
            continue
        if stat.S_ISREG(status.st_mode):
            found.files[path] = (status.st_dev, status.st_ino)
        else:
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
            remedy = "name the log file itself, or remove what is in its place"
            found.troubles[path] = Trouble("waiting", f"{path} is {kind}; {remedy}")
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

"""Examines the files that may be, or have been, the log at a path, for rotation.py to plan.

Opens those that are not open yet and reads how they begin. If files are renamed meanwhile, the
result would be wrong, so everything that was opened is closed again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mailbanned.sources.file.checkpoint import Checkpoint, Identity
from mailbanned.sources.file.discovery import RotatedFile, find_rotated
from mailbanned.sources.file.rawfile import finish_if_cancelled
from mailbanned.sources.file.reader import Tail
from mailbanned.sources.file.rotation import SLACK_NS, Candidate
from mailbanned.sources.file.tracked import TrackedFile

#: How many rotated files of a path are examined whatever their mtimes are.
_NEWEST = 32


class RotationInProgress(Exception):
    """Files were renamed while they were examined; try again."""


@dataclass(slots=True)
class PathView:
    """What is known of a path before its files are examined.

    path: where the log is expected.
    current: the file at the path, None if it is not open.
    tracked: the open files of the path, in the order in which they are read.
    other_open: open files that are logs of other paths.
    saved: checkpoints that may be of its files.
    maybe_evicted: whether checkpoints of its oldest files may have been evicted.
    """

    path: str
    current: Identity | None
    tracked: Mapping[Identity, TrackedFile]
    other_open: Collection[Identity]
    saved: Collection[Checkpoint]
    maybe_evicted: bool

    def list_rotated(self) -> list[RotatedFile]:
        """The rotated files, oldest first. Raises RotationInProgress."""
        if self.current is not None and _identity(self.path) != self.current:
            raise RotationInProgress
        inodes = {saved.inode for saved in self.saved if saved.path == self.path}
        left_out = {*self.other_open, self.current}
        return [file for file in find_rotated(self.path, inodes) if file.identity not in left_out]


@dataclass(slots=True)
class Candidates:
    """The files of a path, oldest first.

    listed: the rotated ones among them, as they are listed in their folder.
    tails: those that were opened here; the caller removes the ones that it keeps open.
    """

    candidates: list[Candidate] = field(default_factory=list)
    listed: list[RotatedFile] = field(default_factory=list)
    tails: dict[Identity, Tail] = field(default_factory=dict)

    async def close(self) -> None:
        """Closes the files that the caller did not keep."""
        tails, self.tails = self.tails, {}
        await finish_if_cancelled(asyncio.gather(*(tail.raw.close() for tail in tails.values())))


async def find_candidates(view: PathView, chunk_bytes: int) -> Candidates:
    """Examines all files of a path. Raises RotationInProgress, and OSError of open files."""
    found = Candidates(listed=view.list_rotated())
    try:
        await _examine(view, found, chunk_bytes)
        if _names(view.list_rotated()) != _names(found.listed):
            raise RotationInProgress
    except BaseException:  # cancelled while closing, too
        await found.close()
        raise
    return found


async def _examine(view: PathView, found: Candidates, chunk_bytes: int) -> None:
    positions: dict[Identity, int] = {}
    unopened: list[tuple[int, Candidate]] = []
    worth_it = set(_worth_opening(view, found.listed))
    for position, file in enumerate(found.listed):
        positions[file.identity] = position
        if file.identity not in view.tracked and file in worth_it:
            unopened.append((position, await _open(file, found, chunk_bytes)))
    for identity, tracked in view.tracked.items():
        candidate = await _of_tracked(tracked, identity == view.current)
        candidate.rotated = identity in positions
        found.candidates.append(candidate)
    for position, candidate in unopened:
        later = (
            at
            for at, other in enumerate(found.candidates)
            if other.current or positions.get(other.identity, -1) > position
        )
        found.candidates.insert(next(later, len(found.candidates)), candidate)
    found.candidates.sort(key=lambda candidate: candidate.current)


def _worth_opening(view: PathView, listed: list[RotatedFile]) -> list[RotatedFile]:
    """The files that may contain unread lines.

    The newest ones are examined whatever their mtimes are, because clocks are set back. Others
    that are older than all that was read were there before the path was first read, or their
    checkpoints were evicted.
    """
    opened = [file.checkpoint() for file in view.tracked.values()]
    saved = [checkpoint for checkpoint in view.saved if checkpoint.path == view.path]
    read = [*saved, *(checkpoint for checkpoint in opened if checkpoint is not None)]
    if not read:
        return listed[-_NEWEST:]
    if view.maybe_evicted:
        unfinished = [checkpoint.mtime_ns for checkpoint in saved if not checkpoint.at_end]
        oldest = min([*unfinished, max(checkpoint.mtime_ns for checkpoint in saved or read)])
        return [file for file in listed if file.mtime_ns >= oldest - SLACK_NS]
    oldest = min(checkpoint.mtime_ns for checkpoint in read) - SLACK_NS
    return [file for file in listed[:-_NEWEST] if file.mtime_ns >= oldest] + listed[-_NEWEST:]


async def _of_tracked(tracked: TrackedFile, current: bool) -> Candidate:
    checkpoint = tracked.checkpoint()
    return Candidate(
        identity=tracked.tail.identity,
        beginning=b"" if checkpoint else await tracked.tail.beginning(),
        size=await tracked.tail.raw.length(),
        mtime_ns=tracked.tail.raw.status().st_mtime_ns,
        current=current,
        compressed=tracked.tail.compressed,
        newly_found=not tracked.position_known,
        position_known=tracked.position_known,
        checkpoint=checkpoint,
    )


async def _open(file: RotatedFile, found: Candidates, chunk_bytes: int) -> Candidate:
    """Opens a rotated file; the candidate has the error if that fails."""
    candidate = Candidate(
        identity=file.identity,
        mtime_ns=file.mtime_ns,
        named=file.rotation_key is not None,
        compressed=file.compressed,
    )
    try:
        tail = await Tail.open(file.path, file.compressed, chunk_bytes)
        if tail.identity != file.identity:  # it may have been opened already under another name
            await tail.raw.close()
            raise RotationInProgress
        found.tails[tail.identity] = tail
        candidate.beginning = await tail.beginning()
        candidate.size = await tail.raw.length()
    except FileNotFoundError:
        raise RotationInProgress from None
    except OSError as error:
        candidate.error = error
    return candidate


def _identity(path: str) -> Identity | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _names(files: list[RotatedFile]) -> list[tuple[str, Identity]]:
    return [(file.path, file.identity) for file in files]

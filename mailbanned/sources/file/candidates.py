"""Looks into the files that may be, or have been, the log at a path, for rotation.py to decide.

Opens those that are not open yet and reads how they begin. Files may be renamed meanwhile: then
nothing is known, and everything that was opened is closed again.
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

#: How many rotated files of a path are looked at when it is read for the first time.
_NEWEST = 32


class RotationInProgress(Exception):
    """Files were renamed while we looked, so nothing is known; look again."""


@dataclass(slots=True)
class PathView:
    """What is known of a path before its files are looked into.

    path: where the log is expected.
    current: which file the path leads to, None if there is none that is open.
    tracked: the open files of the path, in the order in which they are read.
    other_open: open files that are logs of other paths.
    saved: checkpoints that may be of its files.
    maybe_evicted: checkpoints of the oldest of its files may have been forgotten.
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

    listed: the rotated ones among them, as their folder shows them.
    tails: those that were opened to look into them; whoever takes one over removes it here.
    """

    candidates: list[Candidate] = field(default_factory=list)
    listed: list[RotatedFile] = field(default_factory=list)
    tails: dict[Identity, Tail] = field(default_factory=dict)

    async def close(self) -> None:
        """Closes the files that were not taken over."""
        tails, self.tails = self.tails, {}
        await finish_if_cancelled(asyncio.gather(*(tail.raw.close() for tail in tails.values())))


async def find_candidates(question: PathView, chunk_bytes: int) -> Candidates:
    """Looks into all files of a path. Raises RotationInProgress; OSError of those that are open."""
    found = Candidates(listed=question.list_rotated())
    try:
        await _look_into(question, found, chunk_bytes)
        if _names(question.list_rotated()) != _names(found.listed):
            raise RotationInProgress
    except BaseException:  # cancelled while closing, too
        await found.close()
        raise
    return found


async def _look_into(question: PathView, found: Candidates, chunk_bytes: int) -> None:
    places: dict[Identity, int] = {}
    unopened: list[tuple[int, Candidate]] = []
    worth_it = set(_worth_opening(question, found.listed))
    for place, file in enumerate(found.listed):
        places[file.identity] = place
        if file.identity not in question.tracked and file in worth_it:
            unopened.append((place, await _open(file, found, chunk_bytes)))
    for identity, tracked in question.tracked.items():
        candidate = await _of_tracked(tracked, identity == question.current)
        candidate.rotated = identity in places
        found.candidates.append(candidate)
    for place, candidate in unopened:
        later = (
            at
            for at, other in enumerate(found.candidates)
            if other.current or places.get(other.identity, -1) > place
        )
        found.candidates.insert(next(later, len(found.candidates)), candidate)
    found.candidates.sort(key=lambda candidate: candidate.current)


def _worth_opening(question: PathView, listed: list[RotatedFile]) -> list[RotatedFile]:
    """Without those that are known to be older than anything that was not read.

    The newest ones are looked at whatever their times are, because clocks are set back. Of the
    others those that are older than all that was read were there at the first look already, or
    their checkpoints were forgotten.
    """
    opened = [file.checkpoint() for file in question.tracked.values()]
    saved = [checkpoint for checkpoint in question.saved if checkpoint.path == question.path]
    read = [*saved, *(checkpoint for checkpoint in opened if checkpoint is not None)]
    if not read:
        return listed[-_NEWEST:]
    if question.maybe_evicted:
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
    """Opens a rotated file; the candidate says if that fails."""
    candidate = Candidate(
        identity=file.identity,
        mtime_ns=file.mtime_ns,
        named=file.rotation_key is not None,
        compressed=file.compressed,
    )
    try:
        tail = await Tail.open(file.path, file.compressed, chunk_bytes)
        if tail.identity != file.identity:  # it may be the second time that this one is opened
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

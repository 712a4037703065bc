"""Which files of a path are to be read, and from where: decided by how they begin.

    a file that begins as one that was read    goes on at its checkpoint, or was read to its end
    any other file that came after the first look at the path    was never read: from its first byte

A log may have been rotated, copied and compressed more than once since it was last read. Names only
say in which order files are read. Nothing here waits or opens a file: `plan` takes what is known of
all files and returns what to do with each.

Known limit: what was rotated away from a log before it was read for the first time is not read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from mailbanned.sources.file.checkpoint import Checkpoint, Head, Identity

#: How much earlier than it was the time of the last change may be kept by a copy. Nanoseconds.
SLACK_NS = 2_000_000_000


class Action(Enum):
    """What to do with a file.

    FOLLOW: it is open already, and read on where it is.
    RESUME: it is read on at a checkpoint.
    FROM_START: it is read from its first byte.
    FIND_START: it is the first file of its path: lines count that are not too old.
    MARK_READ: it was there before its path was first read; it is remembered as read.
    WAIT: it cannot be told from others before it has a whole line.
    SKIP: there is nothing to read in it, or it is read elsewhere.
    FAIL: it cannot be read, and may hold lines that were not read.
    """

    FOLLOW = auto()
    RESUME = auto()
    FROM_START = auto()
    FIND_START = auto()
    MARK_READ = auto()
    WAIT = auto()
    SKIP = auto()
    FAIL = auto()


@dataclass(eq=False, slots=True)
class Candidate:
    """A file that may be, or have been, the log at a path.

    beginning: its first bytes; b"" also if it could not be opened.
    size: how many bytes can be read of it.
    mtime_ns: its mtime (ns).
    named: whether its name says that it was the log; True for the log itself.
    current: whether the path leads to it now.
    compressed: whether it is compressed.
    rotated: whether a name beside the log leads to it.
    newly_found: whether it is open because the path led to it.
    position_known: whether it is open, and was placed before.
    checkpoint: where it is read, if it is placed and something was read of it.
    error: why it could not be opened.
    """

    identity: Identity
    beginning: bytes = b""
    size: int = 0
    mtime_ns: int = 0
    named: bool = True
    current: bool = False
    compressed: bool = False
    rotated: bool = False
    newly_found: bool = False
    position_known: bool = False
    checkpoint: Checkpoint | None = None
    error: OSError | None = None

    def head(self) -> Head:
        """How the file begins, as far as is known."""
        return Head.of(self.beginning) if self.checkpoint is None else self.checkpoint.head


class Step(NamedTuple):
    """What to do with one file. checkpoint: where it resumes."""

    candidate: Candidate
    action: Action
    checkpoint: Checkpoint | None = None


def plan_files(
    path: str,
    candidates: Sequence[Candidate],
    saved: Collection[Checkpoint],
    *,
    known: bool = False,
    maybe_evicted: bool = False,
) -> list[Step]:
    """What to do with each of the files of a path, in the order in which they are to be read.

    candidates: oldest first; the current one is the last.
    saved: the checkpoints of files that are not open; those of another path are only for the very
        file that they name, which may have been renamed.
    known: whether the path was followed before, even if nothing was read there.
    crowded: there are so many files that checkpoints of the oldest may have been forgotten.
    """
    return _Planner(path, candidates, saved, known, maybe_evicted).run()


class _Planner:
    def __init__(
        self,
        path: str,
        candidates: Sequence[Candidate],
        saved: Collection[Checkpoint],
        known: bool,
        crowded: bool,
    ) -> None:
        self._path = path
        self._candidates = candidates
        self._saved = saved
        self._crowded = crowded
        rotated = [c for c in candidates if c.named and not c.current]
        self._newest_rotated = rotated[-1] if rotated else None
        placed = [c for c in candidates if c.position_known]
        own = [checkpoint for checkpoint in saved if checkpoint.path == path]
        self._is_known = known or bool(own or placed)
        times = [c.checkpoint.mtime_ns for c in placed if c.checkpoint is not None]
        self._last_written = max([*times, *(c.mtime_ns for c in saved)], default=0)
        self._steps: dict[Candidate, Step] = {
            c: Step(c, Action.FOLLOW, c.checkpoint) for c in placed
        }
        self._taken: set[str] = set()

    def run(self) -> list[Step]:
        waiting = [c for c in self._candidates if not c.position_known]
        for candidate in sorted(waiting, key=_likelihood):
            if candidate not in self._steps:
                self._decide(candidate)
        if not self._is_known and not self._taken:
            self._begin()
        return [self._steps[candidate] for candidate in self._candidates]

    def _decide(self, candidate: Candidate) -> None:
        if candidate.error is not None:
            self._set(candidate, Action.FAIL if self._may_matter(candidate) else Action.SKIP)
            return
        original = self._original_of(candidate)
        if original is not None:
            self._decide_copy(candidate, original)
            return
        fitting = [
            saved
            for saved in self._saved
            if saved.path == self._path or saved.identity == candidate.identity
            if saved.head.fits(candidate.beginning)
        ]
        if fitting:
            self._resume(candidate, fitting)
        elif not candidate.named:
            self._set(candidate, Action.SKIP)
        elif candidate.current or candidate.newly_found:
            self._set(candidate, Action.FROM_START)
        elif not candidate.head().hashes or self._may_be_a_copy(candidate):
            self._set(candidate, Action.WAIT)
        elif self._crowded and candidate.mtime_ns < self._last_written - SLACK_NS:
            self._set(candidate, Action.MARK_READ)
        else:
            self._set(candidate, Action.FROM_START)

    def _set(self, candidate: Candidate, action: Action) -> None:
        self._steps[candidate] = Step(candidate, action)

    def _original_of(self, candidate: Candidate) -> Candidate | None:
        """The file that is read already, or is going to be, and begins in the same way."""
        for other in self._read():
            shorter, longer = sorted((candidate, other), key=lambda c: len(c.beginning))
            if other.checkpoint is not None:
                shorter, longer = candidate, other
            if longer.head().fits(shorter.beginning):
                return other
        return None

    def _may_be_a_copy(self, candidate: Candidate) -> bool:
        """Whether a file has too few bytes yet to be told from one that is read, or was read."""
        heads = [*(other.head() for other in self._read()), *(saved.head for saved in self._saved)]
        return any(head.may_fit(candidate.beginning) for head in heads)

    def _read(self) -> list[Candidate]:
        reads = (Action.FOLLOW, Action.RESUME, Action.FROM_START)
        return [other for other, step in self._steps.items() if step.action in reads]

    def _decide_copy(self, candidate: Candidate, original: Candidate) -> None:
        """A copy is not read, unless the log went on in it: it was put into the log's place."""
        if original.current or not (candidate.current or candidate.size > original.size):
            self._set(candidate, Action.SKIP)
            return
        checkpoint = self._steps[original].checkpoint
        if checkpoint is not None and candidate.size < checkpoint.offset and original.rotated:
            self._set(candidate, Action.FROM_START)  # every log begins with the same line here
            return
        action = Action.FROM_START if checkpoint is None else Action.RESUME
        self._steps[candidate] = Step(candidate, action, checkpoint)
        self._set(original, Action.SKIP)

    def _resume(self, candidate: Candidate, fitting: Sequence[Checkpoint]) -> None:
        """The file was read up to a checkpoint, unless that is where another one goes on."""
        checkpoint = max(fitting, key=lambda saved: saved.offset)
        better = self._better_than(candidate, checkpoint)
        if candidate.current and better is not None:
            self._set(candidate, Action.FROM_START)  # every log begins with the same line here
            self._resume(better, [checkpoint])
            return
        # A file without anything to read takes nothing from a copy in which the log went on.
        continued = {step.checkpoint.key for step in self._steps.values() if step.checkpoint}
        is_copy = any(saved.key in continued for saved in fitting)
        unread = candidate.size - checkpoint.offset
        may_grow = candidate is self._newest_rotated and not candidate.compressed
        # A half line at its end, which never counts as read, is no reason to unpack it again.
        # The inode says that only of a checkpoint of a packed file: it may have been the log's.
        unpacked = (
            candidate.compressed
            and checkpoint.compressed
            and checkpoint.at_end
            and (checkpoint.identity, checkpoint.mtime_ns)
            == (candidate.identity, candidate.mtime_ns)
        )
        self._taken.add(checkpoint.key)
        if (
            is_copy
            or unpacked
            or not (candidate.current or unread > 0 or (may_grow and not unread))
        ):
            self._set(candidate, Action.SKIP)
        else:
            self._steps[candidate] = Step(candidate, Action.RESUME, checkpoint)

    def _better_than(self, candidate: Candidate, checkpoint: Checkpoint) -> Candidate | None:
        """The file with a position for which a file is too short, though both begin alike."""
        if candidate.size >= checkpoint.offset:
            return None
        others = (c for c in self._candidates if c.named and not c.position_known)
        holders = (c for c in others if c.size >= checkpoint.offset)
        return next((c for c in holders if checkpoint.head.fits(c.beginning)), None)

    def _may_matter(self, candidate: Candidate) -> bool:
        """Whether a file that cannot be read may hold lines that were not read."""
        if not candidate.named or not self._is_known:
            return candidate.current
        opened = [
            c.checkpoint for c in self._candidates if c.position_known and c.checkpoint is not None
        ]
        known = [*self._saved, *opened]
        read = [checkpoint.mtime_ns for checkpoint in known if checkpoint.at_end]
        return all(abs(written - candidate.mtime_ns) > SLACK_NS for written in read) and (
            candidate.mtime_ns >= min((checkpoint.mtime_ns for checkpoint in known), default=0)
        )

    def _begin(self) -> None:
        """The path was never read: it begins with the file that was there first."""
        files = [c for c in self._candidates if self._steps[c].action is not Action.SKIP]
        first = next((at for at, c in enumerate(files) if c.newly_found or c.current), len(files))
        for candidate in files[:first]:
            if self._steps[candidate].action is not Action.FAIL:
                self._set(candidate, Action.MARK_READ)
        if first < len(files):
            self._set(files[first], Action.FIND_START)


def _likelihood(candidate: Candidate) -> tuple[bool, bool, bool, int]:
    """The best of several copies comes first: the log itself, what is open, what is whole."""
    return not candidate.current, not candidate.newly_found, candidate.compressed, -candidate.size

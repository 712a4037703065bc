"""Plans which files of a path are read, and from where, by comparing how they begin.

    a file that begins like one that was read              resumes at its checkpoint, or was read
    any other file that came after the path's first scan   was never read: from its first byte

A log may have been rotated, copied and compressed more than once since it was last read. Names only
decide the order in which files are read. `plan_files` is pure: it takes what is known of all files
and returns what to do with each.

Known limits: what was rotated away from a log before it was read for the first time is not read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from mailbanned.sources.file.checkpoint import Checkpoint, Head, Identity

#: How much earlier than the original the mtime of a copy may be. Nanoseconds.
SLACK_NS = 2_000_000_000


class Action(Enum):
    """What to do with a file.

    FOLLOW: read on; it is open already.
    RESUME: read on at a checkpoint.
    FROM_START: read from its first byte.
    FIND_START: read from its first line that is not expired: it is the first file of its path.
    MARK_READ: remember as read: it was there before its path was first read.
    WAIT: plan again when it has a whole line, without which it cannot be identified.
    SKIP: do not read: there is nothing to read in it, or its lines are read from another file.
    FAIL: report: it cannot be read, and may contain unread lines.
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
    named: whether its name is that of a rotated file; True for the log itself.
    current: whether it is at the path now.
    rotated: whether it is listed among the rotated files of the path.
    newly_found: whether it was opened at the path and is not planned yet.
    position_known: whether it is open and was planned before.
    checkpoint: where it is read, if it was planned and something was read of it.
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
        """How the file begins, as far as it is known."""
        return Head.of(self.beginning) if self.checkpoint is None else self.checkpoint.head


class Step(NamedTuple):
    """What to do with one file. checkpoint: where to resume."""

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
    saved: the checkpoints of files that are not open; one of another path is only used for the
        file with its device and inode, which may have been renamed.
    known: whether the path was followed before, even if nothing was read there.
    maybe_evicted: whether checkpoints of the oldest files may have been evicted.
    """
    return _Planner(path, candidates, saved, known, maybe_evicted).run()


class _Planner:
    def __init__(
        self,
        path: str,
        candidates: Sequence[Candidate],
        saved: Collection[Checkpoint],
        known: bool,
        maybe_evicted: bool,
    ) -> None:
        self._path = path
        self._candidates = candidates
        self._saved = saved
        self._maybe_evicted = maybe_evicted
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
        for candidate in sorted(waiting, key=_preference):
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
        elif self._maybe_evicted and candidate.mtime_ns < self._last_written - SLACK_NS:
            self._set(candidate, Action.MARK_READ)
        else:
            self._set(candidate, Action.FROM_START)

    def _set(self, candidate: Candidate, action: Action) -> None:
        self._steps[candidate] = Step(candidate, action)

    def _original_of(self, candidate: Candidate) -> Candidate | None:
        """The file that is read, or going to be, and begins in the same way."""
        for other in self._read():
            shorter, longer = sorted((candidate, other), key=lambda c: len(c.beginning))
            if other.checkpoint is not None:
                shorter, longer = candidate, other
            if longer.head().fits(shorter.beginning):
                return other
        return None

    def _may_be_a_copy(self, candidate: Candidate) -> bool:
        """Whether a file is still too short to be told from one that is read, or was read."""
        heads = [*(other.head() for other in self._read()), *(saved.head for saved in self._saved)]
        return any(head.may_fit(candidate.beginning) for head in heads)

    def _read(self) -> list[Candidate]:
        reads = (Action.FOLLOW, Action.RESUME, Action.FROM_START)
        return [other for other, step in self._steps.items() if step.action in reads]

    def _decide_copy(self, candidate: Candidate, original: Candidate) -> None:
        """Skips a copy, unless the log is continued in it: then it has replaced the log."""
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
        """Resumes a file at its checkpoint, unless that belongs to another file."""
        checkpoint = max(fitting, key=lambda saved: saved.offset)
        better = self._better_than(candidate, checkpoint)
        if candidate.current and better is not None:
            self._set(candidate, Action.FROM_START)  # every log begins with the same line here
            self._resume(better, [checkpoint])
            return
        # A file that has nothing to read must not hide a copy in which the log goes on.
        continued = {step.checkpoint.key for step in self._steps.values() if step.checkpoint}
        is_copy = any(saved.key in continued for saved in fitting)
        unread = candidate.size - checkpoint.offset
        may_grow = candidate is self._newest_rotated and not candidate.compressed
        # A half line at its end, which never counts as read, is no reason to decompress it again.
        # The inode proves that only for a checkpoint of a compressed file; else it was the log's.
        already_decompressed = (
            candidate.compressed
            and checkpoint.compressed
            and checkpoint.at_end
            and (checkpoint.identity, checkpoint.mtime_ns)
            == (candidate.identity, candidate.mtime_ns)
        )
        self._taken.add(checkpoint.key)
        if (
            is_copy
            or already_decompressed
            or not (candidate.current or unread > 0 or (may_grow and not unread))
        ):
            self._set(candidate, Action.SKIP)
        else:
            self._steps[candidate] = Step(candidate, Action.RESUME, checkpoint)

    def _better_than(self, candidate: Candidate, checkpoint: Checkpoint) -> Candidate | None:
        """The file that a checkpoint belongs to, if this one is too short and both begin alike."""
        if candidate.size >= checkpoint.offset:
            return None
        others = (c for c in self._candidates if c.named and not c.position_known)
        holders = (c for c in others if c.size >= checkpoint.offset)
        return next((c for c in holders if checkpoint.head.fits(c.beginning)), None)

    def _may_matter(self, candidate: Candidate) -> bool:
        """Whether a file that cannot be read may contain unread lines."""
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
        """Starts a path that was never read with the file that was there first."""
        files = [c for c in self._candidates if self._steps[c].action is not Action.SKIP]
        first = next((at for at, c in enumerate(files) if c.newly_found or c.current), len(files))
        for candidate in files[:first]:
            if self._steps[candidate].action is not Action.FAIL:
                self._set(candidate, Action.MARK_READ)
        if first < len(files):
            self._set(files[first], Action.FIND_START)


def _preference(candidate: Candidate) -> tuple[bool, bool, bool, int]:
    """Sorts the best of several copies first: the log itself, then open, then complete ones."""
    return not candidate.current, not candidate.newly_found, candidate.compressed, -candidate.size

"""Tracks the open files of one source through discovery, rotation and deletion.

A rescan compares the files at the path with those that are open. An open file that is no longer at
the path is rotated; rotation.py decides which files were never read, and where the others resume.
The successor of a file waits until that is read to its end. The newest rotated file stays open:
servers go on writing into a renamed log until they are reloaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mailbanned.clock import Clock
from mailbanned.log import get_logger
from mailbanned.sources.file.candidates import (
    Candidates,
    PathView,
    RotationInProgress,
    find_candidates,
)
from mailbanned.sources.file.checkpoint import (
    Checkpoint,
    Head,
    Identity,
    SavedCheckpoints,
    new_key,
)
from mailbanned.sources.file.discovery import Discovery, RotatedFile, discover, find_rotated
from mailbanned.sources.file.rawfile import read_problem
from mailbanned.sources.file.reader import CHUNK_BYTES, Tail
from mailbanned.sources.file.rotation import Action, Candidate, Step, plan_files
from mailbanned.sources.file.start_offset import LineAge, find_start_offset
from mailbanned.sources.file.tracked import FileEvent, FileState, TrackedFile
from mailbanned.sources.health import SourceHealth

_log = get_logger("sources")

_TRACKED = (Action.FOLLOW, Action.RESUME, Action.FROM_START, Action.FIND_START)
_UNDECIDED = (Action.WAIT, Action.FAIL)
#: How many rotated files are checked for writes of a server that was not reloaded. More would cost
#: as much as listing the folder: where nothing is logged, it may hold a year of empty logs.
_MAY_GROW = 8
#: For how long after a change a folder is listed again: two changes may have the same time stamp,
#: whose resolution is two seconds on the coarsest file systems.
_COARSEST_S = 2.0


class FileSet:
    """The open files of one source, and the checkpoints of those that are not open now.

    open: by identity; those of one path are in the order in which they are read.
    is_settled: False if files were being renamed during the last rescan; then another is due soon.
    """

    def __init__(
        self,
        pattern: str,
        clock: Clock,
        checkpoints: Mapping[str, str],
        line_age: LineAge,
        source: str,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.health = SourceHealth(source)
        self.open: dict[Identity, TrackedFile] = {}
        self.is_settled = True
        self._source = source
        self._pattern = pattern
        self._clock = clock
        self._line_age = line_age
        self._chunk_bytes = chunk_bytes
        self._saved = SavedCheckpoints(pattern, checkpoints.values())
        self._not_searched = self._saved.paths()
        self._skipped: set[Identity] = set()
        # The rotated files of each path at the last plan for it.
        self._listed: dict[str, list[RotatedFile]] = {}
        # Those of them that may be written to, which does not show in the mtime of their folder.
        self._growing: dict[str, list[RotatedFile]] = {}
        # The mtimes (ns) of the folders of each path when they were last checked.
        self._folder_mtimes: dict[str, tuple[int, ...]] = {}
        self._unread: dict[str, float | None] = {}
        self._rescanned_at: float | None = None

    def checkpoints(self) -> dict[str, str]:
        """The checkpoints of all files that are or may be followed again, as text by key."""
        texts = self._saved.texts()
        for file in self.open.values():
            checkpoint = file.checkpoint()
            if checkpoint is not None:
                texts[checkpoint.key] = checkpoint.text
        return texts

    # ---- Rescan -----------------------------------------------------------------------------

    async def rescan(self) -> set[str]:
        """Finds new and rotated files; returns the directories to watch for changes."""
        known = {file.path for file in self.open.values()}
        found = discover(self._pattern, known | self._saved.paths())
        self._record_unread(found)
        await self._reopen_failed()
        for path, identity in found.files.items():
            if identity not in self.open:
                await self._open(path)
            if identity in self.open:
                self.open[identity].path = path
        present = set(found.files.values())
        for identity, file in self.open.items():
            file.is_rotated = identity not in present
        await self._replan_changed(found)
        await self._close_done(found)
        self._saved.trim()
        self._rescanned_at = self._clock.now()
        return found.directories

    def _record_unread(self, found: Discovery) -> None:
        """Remembers since when files wait to be opened, and reports problems."""
        unread = {path for path, identity in found.files.items() if identity not in self.open}
        unread |= {p for p, problem in found.problems.items() if problem.state == "unreadable"}
        self._unread = {path: self._unread.get(path, self._rescanned_at) for path in unread}
        for path, problem in found.problems.items():
            self.health.report(path, problem)
        self.health.retain(found.problems, found.files, map(str, self.open.values()))
        missing = not found.files and not found.problems
        self.health.set_missing(self._pattern if missing else None, log=not self.open)

    async def _reopen_failed(self) -> None:
        """Closes failed files, to be opened again: a descriptor may be stale, as on NFS.

        A rotated file could not be opened again by its path, so it is read on.
        """
        for file in [file for file in self.open.values() if file.state is FileState.FAILED]:
            file.advance(FileEvent.RETRY)
            if not file.is_rotated:
                await self.close(file)

    async def _open(self, path: str) -> None:
        try:
            tail = await Tail.open(path, chunk_bytes=self._chunk_bytes)
        except FileNotFoundError:
            return
        except OSError as error:
            self.health.report(path, read_problem(path, error))
            return
        if tail.identity in self.open:
            await tail.raw.close()
            return
        self.open[tail.identity] = self._new(tail, path, self._unread.pop(path, None))

    def _new(self, tail: Tail, path: str, found_after: float | None) -> TrackedFile:
        monotonic = self._clock.monotonic()
        return TrackedFile(tail, path, found_after, monotonic, monotonic)

    async def _close_done(self, found: Discovery) -> None:
        newest = {file.path: file for file in self.open.values() if file.is_rotated}
        for file in list(self.open.values()):
            is_newest, replaced = newest.get(file.path) is file, file.path in found.files
            if file.is_done(self._clock.monotonic(), newest=is_newest, replaced=replaced):
                await self.close(file)

    # ---- Planning ---------------------------------------------------------------------------

    async def _replan_changed(self, found: Discovery) -> None:
        """Plans the paths at which files were opened, came or changed."""
        unplanned = [file.path for file in self.open.values() if not file.position_known]
        known = sorted({file.path for file in self.open.values()} | self._saved.paths())
        suspected = [path for path in known if self._folder_changed(path) or self._has_grown(path)]
        changed = [path for path in suspected if self._has_changed(path)]
        not_searched = sorted(self._not_searched.difference(found.files))
        self.is_settled = True
        for path in dict.fromkeys([*unplanned, *changed, *not_searched]):
            try:
                await self._replan(path, found.files.get(path))
            except RotationInProgress:
                self.is_settled = False
                self._folder_mtimes.pop(path, None)  # so that it counts as changed again
            except OSError as error:
                self.health.report(path, read_problem(path, error))
                for file in list(self.open.values()):
                    if file.path == path and not file.position_known:
                        await self.close(file)
        if self.is_settled:
            self._not_searched = set()

    def _folder_changed(self, path: str) -> bool:
        """Whether names may have changed in the folders of a path since the last call."""
        before = self._folder_mtimes.get(path)
        paths = [path, os.path.realpath(path)] if Path(path).is_symlink() else [path]
        mtimes = self._folder_mtimes[path] = tuple(map(_folder_mtime_ns, paths))
        latest = max(mtimes) / 1e9
        return mtimes != before or self._clock.now() - latest < _COARSEST_S

    def _has_grown(self, path: str) -> bool:
        """Whether a rotated file that is not open was written to since the last plan."""
        closed = (file for file in self._growing.get(path, ()) if file.identity not in self.open)
        return any(map(_is_written_to, closed))

    def _has_changed(self, path: str) -> bool:
        """Whether rotated files of a path have come or changed since the last plan."""
        closed = [file for file in find_rotated(path) if file.identity not in self.open]
        return not set(closed) <= set(self._listed.get(path, ()))

    async def _replan(self, path: str, current: Identity | None) -> None:
        """Plans which files of a path are read, and from where. Raises RotationInProgress.

        Files of which nothing was read are planned again: others may have come in between.
        """
        mine = {identity: file for identity, file in self.open.items() if file.path == path}
        known = any(file.position_known for file in mine.values())
        for file in mine.values():
            if file.position_known and await file.tail.was_emptied():
                self.on_truncated(file)
            if not file.tail.has_read or not file.position_known:
                file.advance(FileEvent.REPLAN)
        view = PathView(
            path=path,
            current=current if current in mine else None,
            tracked=mine,
            other_open=self.open.keys() - mine.keys(),
            saved=self._saved.for_path(path, mine),
            maybe_evicted=self._saved.is_full(path),
        )
        found = await find_candidates(view, self._chunk_bytes)
        try:
            crowded = view.maybe_evicted
            steps = plan_files(
                path, found.candidates, view.saved, known=known, maybe_evicted=crowded
            )
            self._listed[path] = found.listed
            self._growing[path] = _may_grow(found.listed, steps)
            await self._carry_out(path, steps, found)
        finally:
            await found.close()

    async def _carry_out(self, path: str, steps: list[Step], found: Candidates) -> None:
        live = any(file.is_live for file in self.open.values() if file.path == path)
        tracked = [step for step in steps if step.action in _TRACKED]
        for step in steps:
            if step not in tracked:
                await self._drop(path, step, found)
        predecessor: TrackedFile | None = None
        for step in tracked:
            file = await self._track(path, step, found, live)
            if file is not None:
                file.predecessor, predecessor = predecessor, file

    async def _drop(self, path: str, step: Step, found: Candidates) -> None:
        """Closes a file of the path that is not read, or no longer, and remembers why."""
        candidate = step.candidate
        if step.action is Action.MARK_READ:
            self._saved.add(_as_read(path, candidate))
        elif step.action is Action.FAIL and candidate.error is not None:
            names = [file.path for file in found.listed if file.identity == candidate.identity]
            self._skip(names[0] if names else path, candidate.identity, candidate.error)
        if candidate.identity in self.open:
            await self.close(self.open[candidate.identity])

    async def _track(
        self, path: str, step: Step, found: Candidates, live: bool
    ) -> TrackedFile | None:
        """Reads a file of the path from now on, after those that were tracked before it.

        live: whether a file of the path is live.
        """
        candidate = step.candidate
        file = self.open.pop(candidate.identity, None)
        if file is None:
            file = self._new(found.tails.pop(candidate.identity), path, self._rescanned_at)
            file.is_rotated = not candidate.current
        self.open[candidate.identity] = file
        if step.action is Action.RESUME and step.checkpoint is not None:
            try:
                await self._resume(file, step.checkpoint)
            except OSError as error:
                await self.on_error(file, error)
                return None
        elif step.action is Action.FIND_START:
            file.find_start = True
        if not file.tail.has_read:
            file.tail.expect(candidate.beginning)
        if not file.position_known:
            file.advance(FileEvent.PLANNED, live=live and file.tail.positioned)
            if file.tail.positioned:
                self._on_started(file)
        return file

    async def _resume(self, file: TrackedFile, checkpoint: Checkpoint) -> None:
        if not await file.tail.resume(checkpoint):
            if not await file.tail.resume_nearby(checkpoint):
                raise RotationInProgress
            if checkpoint.tail:  # else the bytes before it were never read
                _log.warning(f"{file} was edited or damaged; reading goes on", source=self._source)
        self._saved.remove(checkpoint)

    # ---- Reading ----------------------------------------------------------------------------

    def may_be_read(self, file: TrackedFile) -> bool:
        """Whether its turn has come; False while its predecessor has lines, and after an error."""
        before = file.predecessor
        if before is not None and before.tail.identity not in self.open:
            before = file.predecessor = None
        has_to_wait = (
            before is not None and before.state is not FileState.FAILED and before.tail.has_more()
        )
        return file.position_known and not has_to_wait

    def is_still_next(self, file: TrackedFile, beginning: bytes) -> bool:
        """Whether the first lines of a file still come next; else it is planned again.

        False if files have come since the plan, because it may have been copied to one of them and
        emptied; and if it begins as a file that was read, because its lines may have been put back.
        """
        saved = self._saved.for_path(file.path, ()) if beginning != file.tail.expected else []
        is_back = any(checkpoint.head.fits(beginning) for checkpoint in saved)
        if is_back or (not file.tail.compressed and self._has_changed(file.path)):
            file.advance(FileEvent.REPLAN)
        return file.position_known

    async def set_start(self, file: TrackedFile) -> None:
        """Sets the position at which a file is read first, when its turn has come."""
        start = 0
        if file.find_start and not file.tail.compressed:
            size = file.tail.raw.status().st_size
            start = await find_start_offset(file.tail.raw.read_at, size, self._line_age)
        await file.tail.set_start(start)
        file.advance(FileEvent.STARTED, live=file.is_new() and start == 0)
        self._on_started(file)

    def _on_started(self, file: TrackedFile) -> None:
        checkpoint = file.checkpoint()
        if checkpoint is not None and checkpoint.mtime_ns:
            file.caught_up_at -= max(0.0, self._clock.now() - checkpoint.mtime_ns / 1e9)
        _log.info(
            f"following {file}", source=self._source, offset=file.tail.offset, live=file.is_live
        )

    def on_truncated(self, file: TrackedFile) -> None:
        """Replans a file that was emptied; the next rescan finds the copy of its lines, if any."""
        self._saved.add(file.checkpoint())
        file.advance(FileEvent.REPLAN)
        file.find_start = False
        file.found_after = self._rescanned_at
        _log.info(f"{file} was emptied or replaced", source=self._source)

    async def on_error(self, file: TrackedFile, error: OSError) -> None:
        """Reports that a file could not be read; it is tried again, unless it is compressed."""
        if file.tail.compressed:
            self._skip(str(file), file.tail.identity, error)
            await self.close(file)
        else:
            file.advance(FileEvent.READ_FAILED)
            self.health.report(str(file), read_problem(str(file), error))

    def _skip(self, name: str, identity: Identity, error: OSError) -> None:
        if identity not in self._skipped:
            self._skipped.add(identity)
            self.health.report(name, read_problem(name, error))

    async def close(self, file: TrackedFile) -> None:
        """Closes a file. Its checkpoint is kept, to know its lines wherever they are moved."""
        self._saved.add(file.checkpoint())
        del self.open[file.tail.identity]
        await file.tail.raw.close()


def _folder_mtime_ns(path: str) -> int:
    """When names last changed in the folder of a path; 0 if there is no such folder."""
    try:
        return Path(path).parent.stat().st_mtime_ns
    except OSError:
        return 0


def _may_grow(listed: list[RotatedFile], steps: list[Step]) -> list[RotatedFile]:
    """The files that may be written to: the newest, and undecided ones among the last."""
    newest = [file for file in listed if file.rotation_key][-1:]
    undecided = {step.candidate.identity for step in steps if step.action in _UNDECIDED}
    return newest + [file for file in listed[-_MAY_GROW:] if file.identity in undecided]


def _is_written_to(file: RotatedFile) -> bool:
    """Whether a file was written to since it was listed; False if it is gone."""
    try:
        status = Path(file.path).lstat()
    except OSError:
        return False
    return (status.st_mtime_ns, status.st_size) != (file.mtime_ns, file.size)


def _as_read(path: str, candidate: Candidate) -> Checkpoint | None:
    """A checkpoint as if the file had been read to its end; None if it has no line."""
    head = Head.of(candidate.beginning[: candidate.size])
    if not head.hashes or not candidate.size:
        return None
    device, inode = candidate.identity
    return Checkpoint(
        key=new_key(inode, candidate.mtime_ns, head),
        path=path,
        device=device,
        inode=inode,
        head=head,
        offset=candidate.size,
        tail="",
        skipping=0,
        mtime_ns=candidate.mtime_ns,
        at_end=True,
        compressed=candidate.compressed,
    )

"""TrackedFile: which event moves an open file to which state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailbanned.sources.file.reader import Tail
from mailbanned.sources.file.tracked import FileEvent, FileState, TrackedFile
from tests.sources.rig import append


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[TrackedFile]:
    append(tmp_path / "log", b"one\n")
    tail = await Tail.open(str(tmp_path / "log"))
    yield TrackedFile(tail, str(tmp_path / "log"), None, 0.0, 0.0)
    await tail.raw.close()


async def test_from_new_to_live(file: TrackedFile) -> None:
    """A file waits for its start, catches up with old lines, and is live once at its end."""
    assert (file.state, file.position_known) == (FileState.NEW, False)
    file.advance(FileEvent.PLANNED)
    assert (file.state, file.position_known) == (FileState.WAITING, True)
    await file.tail.set_start(0)
    file.advance(FileEvent.STARTED)
    assert (file.state, file.is_live) == (FileState.CATCHING_UP, False)
    file.advance(FileEvent.CAUGHT_UP)
    assert (file.state, file.is_live) == (FileState.LIVE, True)


async def test_a_file_that_resumes_does_not_wait(file: TrackedFile) -> None:
    """A file that has a position when it is planned is read at once."""
    await file.tail.set_start(0)
    file.advance(FileEvent.PLANNED)
    assert file.state is FileState.CATCHING_UP


async def test_a_live_file_that_is_planned_again_stays_live(file: TrackedFile) -> None:
    """Replanning gives the position up, and not that its lines are written while it is followed."""
    await file.tail.set_start(0)
    file.advance(FileEvent.PLANNED, live=True)
    file.advance(FileEvent.REPLAN)
    assert (file.state, file.position_known) == (FileState.NEW, False)
    assert not file.tail.positioned
    file.advance(FileEvent.PLANNED)
    file.advance(FileEvent.STARTED)
    assert file.state is FileState.LIVE


@pytest.mark.parametrize(
    "events", [(), (FileEvent.PLANNED,), (FileEvent.PLANNED, FileEvent.STARTED)]
)
async def test_an_error_and_its_end(file: TrackedFile, events: tuple[FileEvent, ...]) -> None:
    """A failed file is read by nothing, and a retry returns it to the state before the error."""
    for event in events:
        file.advance(event)
    before = file.state
    for _ in range(2):
        file.advance(FileEvent.READ_FAILED)
        assert (file.state, file.position_known) == (FileState.FAILED, False)
    assert file.path_state(0.0).state == "unreadable"
    file.advance(FileEvent.RETRY)
    assert file.state is before

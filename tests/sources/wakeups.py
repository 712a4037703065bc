"""Wake-ups of a Watcher's readers: waiting for them, and knowing that there are no more."""

# ruff: noqa: ASYNC240 - the tests change the directories themselves, in no hurry

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from watchfiles import Change, awatch

from mailbanned.sources.file.watcher import Subscription
from tests.waiting import HANG_S, until

SEEN: set[tuple[Change, str]] = set()
NUMBERS = itertools.count()


async def noted(*places: str, **options: Any) -> AsyncIterator[set[tuple[Change, str]]]:
    """As awatch, and notes in SEEN what it told, once that has been dealt with."""
    async for changes in awatch(*places, **options):
        yield changes
        SEEN.update(changes)


async def dealt_with(directory: Path) -> None:
    """Returns when all that has happened by now has been told; `directory` has to be watched.

    A file comes and goes there. It is made again if it fell into a change of the watch.
    """
    directory = directory.resolve()
    for _ in range(int(HANG_S)):
        fence = directory / f"fence{next(NUMBERS)}"
        told = {(Change.added, str(fence)), (Change.deleted, str(fence))}
        fence.touch()
        with contextlib.suppress(AssertionError):
            await until(lambda: told & SEEN, limit=0.5)  # noqa: B023
        fence.unlink()
        with contextlib.suppress(AssertionError):
            await until(lambda: told <= SEEN, limit=0.5)  # noqa: B023
            return
    raise AssertionError(f"what happens in {directory} is not told")


async def settled(subscription: Subscription) -> None:
    """Takes the wake-ups that the beginning of the watch brings."""
    await woken(subscription)
    await quiet(subscription)


async def quiet(subscription: Subscription) -> None:
    """Takes the wake-ups of all that has happened by now."""
    (directory,) = map(Path, subscription.directories)
    await dealt_with(next(path for path in (directory, *directory.parents) if path.is_dir()))
    if is_woken(subscription):
        await subscription.wait(0)


async def woken(subscription: Subscription) -> bool:
    """Waits for a wake-up."""
    await until(lambda: is_woken(subscription), "it is woken")
    return await subscription.wait(0)


def is_woken(subscription: Subscription) -> bool:
    """Whether its reader would not have to wait."""
    return subscription._event.is_set()

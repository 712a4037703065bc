"""A program that follows a log and counts its lines, as the daemon does it: made to be killed.

It follows FOLDER/mail.log and keeps in FOLDER/state.db how often each line came. Positions and
counts are saved together, by the daemon's own Intake, Saver and store, some dozen times a second.
On SIGTERM it saves once more.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Self

from mailbanned.clock import SystemClock
from mailbanned.daemon.intake import Intake
from mailbanned.daemon.saver import Saver, Windows
from mailbanned.log import set_up
from mailbanned.model import Block, Subject
from mailbanned.sources import FileSource, Watcher
from mailbanned.store import SQLiteStore

_SAVE_EVERY_S = 0.03


class Counts:
    """How often each line came, by its number, which is what it begins with."""

    def __init__(self, counted: Windows) -> None:
        self._times = dict(counted)
        self._changed: dict[tuple[str, Subject], tuple[float, ...]] = {}

    def add(self, data: bytes) -> Iterator[None]:
        """Counts the lines of a block, one by one."""
        for line in data.splitlines():
            key = ("lines", Subject(line[:7].decode()))
            self._times[key] = self._changed[key] = (*self._times.get(key, ()), time.time())
            yield

    def changed(self) -> Windows:
        """What was counted since this was last asked."""
        changed, self._changed = self._changed, {}
        return changed


async def follow(folder: Path) -> None:
    """Follows the log until SIGTERM."""
    store = SQLiteStore(folder / "state.db")
    state = await store.load(time.time())
    counts, watcher, clock = Counts(state.windows), Watcher(), SystemClock()
    saver = Saver(store)
    source = FileSource(
        "mail",
        str(folder / "mail.log"),
        clock=clock,
        watcher=watcher,
        marks=state.marks.get("mail", {}),
        too_old=lambda _: None,
    )

    def count(block: Block) -> Iterator[None]:
        yield from counts.add(block.data)
        saver.read(block.source, block.marks, counts.changed())

    intake = Intake(clock, count)

    async def save() -> None:
        while True:
            await saver.save()
            await asyncio.sleep(_SAVE_EVERY_S)

    async def stop() -> None:
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        await stopped.wait()
        raise InterruptedError

    try:
        async with asyncio.TaskGroup() as tasks:
            for work in (watcher.run(), source.run(intake.take), intake.run(), save(), stop()):
                tasks.create_task(work)
    except* InterruptedError:
        await saver.save()
        await store.close()


def main(folder: Path) -> None:
    """Each line on stdin starts a child that follows, or ends it with the signal it names.

    (A Python that begins from nothing would take longer than most of them live.)
    """
    set_up("keyvalue", "error")  # stdout is for the answers
    child = 0
    for order in sys.stdin:
        if child == 0:
            child = os.fork()
            if child == 0:
                try:
                    asyncio.run(follow(folder))
                    os._exit(0)
                finally:
                    traceback.print_exc()
                    os._exit(1)
            print(child, flush=True)
        else:
            print(_end(child, int(order)), flush=True)
            child = 0
    if child:
        _end(child, signal.SIGKILL)


def _end(child: int, number: int) -> int:
    os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Counter:
    """The program, to be started and ended at will; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reading = threading.Lock()
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.sources.counter", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self) -> None:
        """Begins to follow."""
        self._tell("start")

    def end(self, number: int) -> int:
        """Ends that with a signal; returns the exit status, below 0 for a signal."""
        return self._tell(str(number))

    def _tell(self, order: str) -> int:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        print(order, file=self._program.stdin, flush=True)
        return int(self._program.stdout.readline())

    def counted(self) -> list[int]:
        """The numbers of the lines that were counted, as it stands in the saved state."""
        try:
            file = f"file:{self._folder}/state.db?mode=ro"
            with self._reading, closing(sqlite3.connect(file, uri=True)) as state:
                rows = state.execute("SELECT subject, times FROM windows").fetchall()
        except sqlite3.OperationalError:  # there is no state yet, or it is being recovered
            return []
        return [int(subject) for subject, times in rows for _ in times.split(",")]

    def keep(self, folder: Path) -> None:
        """Copies the state as it is into another folder. Only while nobody follows."""
        self._copy(self._folder, folder)

    def set_back(self, folder: Path) -> None:
        """Replaces the state by one that was kept. Only while nobody follows."""
        self._copy(folder, self._folder)

    def _copy(self, one: Path, other: Path) -> None:
        with self._reading:
            for name in ("state.db-shm", "state.db-wal", "state.db"):
                (other / name).unlink(missing_ok=True)
                if (one / name).exists() and name != "state.db-shm":
                    shutil.copyfile(one / name, other / name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.communicate(timeout=20)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""FileSource cancelled at any moment of its first look, or misled: it leaves no file open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from mailbanned.sources.file.reader import Tail
from tests.sources.rig import Reader, append
from tests.waiting import until

P = ParamSpec("P")
T = TypeVar("T")


class Meddler(ThreadPoolExecutor):
    """The threads of the loop; does something while a thread has its n-th piece of work."""

    def __init__(self, moment: int, meddle: Callable[[], object]) -> None:
        super().__init__(1)
        self.left, self._meddle = moment, meddle

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        self.left -= 1
        if self.left == 0:
            asyncio.get_running_loop().call_soon(self._meddle)
        return super().submit(fn, *args, **kwargs)


async def test_whatever_was_opened_is_closed(tmp_path: Path) -> None:
    """A cancelled search for the position closes the files it found, and those it did not need."""
    log = tmp_path / "mail.log"
    append(log.with_name("mail.log.4"), b"older\nlines\n")
    append(log, b"read\n")
    os.utime(
        log, (0, 0)
    )  # before all that is written later, however coarse the kernel's stamps are
    async with Reader(log) as reader:
        await reader.read(b"read\n")
        marks = reader.marks
    _rotate_thrice(log)
    loop, moment, most = asyncio.get_running_loop(), 0, 0

    def cancel() -> None:
        nonlocal most
        most = max(most, len(_open_below(tmp_path)))
        reader.cancel()

    while True:
        moment += 1
        loop.set_default_executor(threads := Meddler(moment, cancel))
        reader = Reader(log, marks, watched=False)
        async with reader:
            await until(lambda r=reader: threads.left <= 0 or r.data == b"second\nthird\n")  # type: ignore[misc]
        assert not _open_below(tmp_path), f"cancelled during work {moment} of the threads"
        if threads.left > 0:
            break
    assert moment > 10
    assert most == 4  # one of them was opened in vain


async def test_a_file_that_is_opened_under_two_names_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is renamed to the name that is opened next is closed both times."""
    log = tmp_path / "mail.log"
    append(log.with_name("mail.log.2"), b"oldest\n")
    append(log.with_name("mail.log.1"), b"older\n")
    append(log, b"read\n")
    opened: list[Tail] = []
    open_tail = Tail.open

    async def rename_first(path: str, packed: bool = False, chunk_bytes: int = 4096) -> Tail:
        if len(opened) == 2:
            log.with_name("mail.log.2").replace(path)
        opened.append(await open_tail(path, packed, chunk_bytes))
        return opened[-1]

    monkeypatch.setattr(Tail, "open", rename_first)
    async with Reader(log) as reader:
        await reader.read(b"read\n")
    assert opened[1].identity == opened[2].identity
    for tail in opened:
        with pytest.raises(ValueError, match="closed"):
            tail.raw.status()


def _rotate_thrice(log: Path) -> None:
    """Leaves the position in a copy, next to a file that is looked into in vain."""
    log.with_name("mail.log.3").write_bytes(log.read_bytes())
    log.unlink()
    append(log.with_name("mail.log.1"), b"second\n")
    append(log, b"third\n")


def _open_below(directory: Path) -> list[str]:
    """The files in a directory that this process has open."""
    paths = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            paths.append(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    return [path for path in paths if path.startswith(f"{directory}/")]

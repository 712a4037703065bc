"""Files and the journal keep the contract of all sources."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from mailbanned.clock import SystemClock
from mailbanned.sources import FileSource, Journalctl, JournalSource, Watcher
from mailbanned.sources.file import reader
from tests.runtimes import cri
from tests.sources.contract import Log, SourceContract
from tests.sources.journals import Journal
from tests.sources.rig import Age, append


class PlainLog:
    """A file of lines."""

    kind = "file"

    def __init__(self, directory: Path) -> None:
        self._path = directory / "mail.log"
        self._away = directory / "away"
        self._path.touch()

    def write(self, messages: Iterable[str]) -> None:
        path = self._away if self._away.exists() else self._path
        append(path, b"".join(self._line(message) for message in messages))

    def _line(self, message: str) -> bytes:
        return f"{message}\n".encode()

    def messages(self, data: bytes) -> list[str]:
        return data.decode().splitlines()

    def take_away(self) -> None:
        self._path.rename(self._away)

    def bring_back(self) -> None:
        self._away.rename(self._path)

    def source(self, marks: Mapping[str, str]) -> FileSource:
        self._watcher = Watcher()
        return FileSource(
            "mail",
            str(self._path),
            clock=SystemClock(),
            watcher=self._watcher,
            checkpoints=marks,
            line_age=Age(),
        )

    async def serve(self) -> None:
        await self._watcher.run()


class ContainerLog(PlainLog):
    """A file as containerd writes it, each message in two parts."""

    def _line(self, message: str) -> bytes:
        return cri(message[:3], final=False) + cri(message[3:])

    def messages(self, data: bytes) -> list[str]:
        lines = data.decode().split("\n")
        return [line.partition(" F ")[2] for line in lines if line]


class JournalLog:
    """A journal behind a stand-in for journalctl."""

    kind = "journal"

    def __init__(self, directory: Path) -> None:
        self._journal = Journal(directory / "journal")
        self._program = directory / "journalctl"
        self._away = directory / "away"
        command = " ".join(self._journal.command)
        self._program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        self._program.chmod(0o755)

    def write(self, messages: Iterable[str]) -> None:
        self._journal.write_all(messages)

    def messages(self, data: bytes) -> list[str]:
        return [line.partition("]: ")[2] for line in data.decode().splitlines()]

    def take_away(self) -> None:
        self._program.rename(self._away)

    def bring_back(self) -> None:
        self._away.rename(self._program)

    def source(self, marks: Mapping[str, str]) -> JournalSource:
        self._journalctl = Journalctl(SystemClock(), (str(self._program),), None)
        return JournalSource(
            "mail",
            ["sshd"],
            clock=SystemClock(),
            journalctl=self._journalctl,
            cursors=marks,
            since=0.0,
        )

    async def serve(self) -> None:
        await asyncio.sleep(0)
        await self._journalctl.run()


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the contract calls many lines does not fit into one of them."""
    monkeypatch.setattr(reader, "CHUNK_BYTES", 128 * 1024)


class TestPlainLog(SourceContract):
    """FileSource on a plain log."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> Log:
        return PlainLog(tmp_path)


class TestContainerLog(SourceContract):
    """FileSource on the log of a container."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> Log:
        return ContainerLog(tmp_path)


class TestJournal(SourceContract):
    """JournalSource."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> Log:
        return JournalLog(tmp_path)

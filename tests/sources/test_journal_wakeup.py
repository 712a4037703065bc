"""JournalWakeup: the trigger file is written when a journal file has grown; links lead to it."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailbanned.sources.journal.wakeup import JournalWakeup
from tests.waiting import until

# What it does goes on in the loop alone, but for files, which nobody else touches.
pytestmark = pytest.mark.usefixtures("skipping")
MACHINE = "0123456789abcdef0123456789abcdee"


class Journal:
    """A file system with journal files that have nothing but the counts in their header."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "etc").mkdir()
        (root / "etc/machine-id").write_text(f"{MACHINE}\n")

    def write(self, place: str, records: int) -> None:
        """The file in this directory holds N records."""
        folder = self.root / place / MACHINE
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "system.journal").open("r+b" if self.file(place).exists() else "wb") as file:
            file.seek(152)
            file.write(struct.pack("<QQ", records, records))

    def file(self, place: str) -> Path:
        return self.root / place / MACHINE / "system.journal"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def folder(wakeup: JournalWakeup) -> Path:
    """The directory that journalctl is told of."""
    (option,) = wakeup.options
    return Path(option.removeprefix("--directory="))


@asynccontextmanager
async def waking(journal: Journal) -> AsyncIterator[Path]:
    """Runs a JournalWakeup on it; gives its directory, whose trigger file was just removed."""
    with JournalWakeup(journal.root) as wakeup:
        task = asyncio.create_task(wakeup.run())
        trigger = folder(wakeup) / "trigger"
        await until(trigger.exists)  # it has looked for the first time
        trigger.unlink()
        yield trigger.parent
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def triggered(where: Path) -> None:
    """Waits until the trigger file is written, and removes it."""
    await until((where / "trigger").exists)
    (where / "trigger").unlink()


@pytest.mark.parametrize("place", ["var/log/journal", "run/log/journal"])
async def test_it_triggers_when_the_file_has_grown(journal: Journal, place: str) -> None:
    """Each time that the file has grown, and not while it is as it was."""
    journal.write(place, 1)
    async with waking(journal) as where:
        for records in (2, 3):
            journal.write(place, records)
            await triggered(where)
        await asyncio.sleep(60)  # thousands of looks
        assert not (where / "trigger").exists()


async def test_it_follows_a_rotation(journal: Journal) -> None:
    """A new file under the old name is looked at in its place."""
    journal.write("var/log/journal", 5)
    async with waking(journal) as where:
        file = journal.file("var/log/journal")
        file.rename(file.with_name("system@old.journal"))
        journal.write("var/log/journal", 1)
        await triggered(where)
        journal.write("var/log/journal", 2)
        await triggered(where)


async def test_links_as_journalctl_sees_them(journal: Journal) -> None:
    """One for each place, under names that journalctl takes for machines."""
    journal.write("var/log/journal", 1)
    async with waking(journal) as where:
        links = {link.name: str(link.readlink()) for link in where.iterdir()}
        assert links == {MACHINE: f"/var/log/journal/{MACHINE}"}
        journal.write("run/log/journal", 1)
        await triggered(where)
        await until((where / MACHINE[::-1]).is_symlink)
        assert str((where / MACHINE[::-1]).readlink()) == f"/run/log/journal/{MACHINE}"


async def test_a_directory_that_comes_anew_gets_a_new_link(journal: Journal) -> None:
    """journalctl watches the old one, which is gone, until a link is made."""
    journal.write("var/log/journal", 1)
    async with waking(journal) as where:
        link = where / MACHINE
        os.utime(link, ns=(1, 1), follow_symlinks=False)
        directory = journal.file("var/log/journal").parent
        directory.rename(directory.with_name("gone"))
        journal.write("var/log/journal", 1)
        await until(lambda: link.is_symlink() and link.lstat().st_mtime_ns != 1)


async def test_a_directory_that_is_cleaned_away(journal: Journal) -> None:
    """That its directory is lost is noticed at the next record, or where the journal goes."""
    for place in ("var/log/journal", "run/log/journal"):
        journal.write("var/log/journal", 1)
        with JournalWakeup(journal.root) as wakeup:
            task = asyncio.create_task(wakeup.run())
            await until((folder(wakeup) / "trigger").exists)
            shutil.rmtree(folder(wakeup))
            journal.write(place, 2)
            with pytest.raises(FileNotFoundError):
                await asyncio.wait_for(task, 5)


def test_a_full_disk(journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where no link can be made, journalctl reads what it finds by itself; nothing is left."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    journal.write("var/log/journal", 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "symlink_to", full)
    with JournalWakeup(journal.root) as wakeup:
        assert wakeup.options == ()
    assert list(temporary.iterdir()) == []


async def test_without_a_journal_there_is_nothing_to_do(journal: Journal) -> None:
    """journalctl reads what it finds by itself, and nothing is left behind."""
    for root in (journal.root, journal.root / "nowhere", None):
        with JournalWakeup(root) as wakeup:
            assert wakeup.options == ()
            await asyncio.wait_for(wakeup.run(), 5)


def test_it_leaves_nothing_behind(journal: Journal) -> None:
    """Its directory goes, and what the links lead to stays."""
    journal.write("var/log/journal", 1)
    with JournalWakeup(journal.root) as wakeup:
        where = folder(wakeup)
    assert not where.exists()
    assert journal.file("var/log/journal").exists()

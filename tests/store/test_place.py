"""Where the state file stands: folders that are made, and places where it cannot be."""

# ruff: noqa: ASYNC240 - the tests look at the files themselves, in no hurry

from __future__ import annotations

import os
import stat
from pathlib import Path

from mailbanned.store import Changes
from tests.store.support import ban, opened, refusal, saved, state_at
from tests.strangers import as_stranger, needs_root, open_folder


async def test_it_is_nobody_elses(tmp_path: Path) -> None:
    """The state holds names that people typed: no other user may read any file of it."""
    before = os.umask(0)
    try:
        async with opened(tmp_path / "state.db") as store:
            await store.save(Changes((ban(1),)))
            files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert {"state.db", "state.db-wal"} < set(files)
    assert set(files.values()) == {0o600}


async def test_folder_is_made(tmp_path: Path) -> None:
    """The folder of the state is made if there is none yet."""
    await saved(tmp_path / "var" / "lib" / "state.db", Changes((ban(1),)))
    assert (tmp_path / "var" / "lib" / "state.db").is_file()


async def test_no_folder_can_be_there(tmp_path: Path) -> None:
    """Where a file stands in the place of the folder, the message names path and remedy."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "state.db"
    text = await refusal(path)
    assert text.startswith(f"{path}: cannot be opened (")
    assert text.endswith("); run as the user that owns it, or name another [store] path")


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder in the place of the file is refused with its path."""
    assert (await refusal(tmp_path)).startswith(f"{tmp_path}: cannot be opened (Is a directory); ")


LOAD = """
async def main():
    store = SQLiteStore(Path(sys.argv[1]))
    try:
        await store.load(1.0, 60.0)
    except StoreError as error:
        print(error)
asyncio.run(main())
"""
IMPORTS = (
    "import asyncio; from pathlib import Path; from mailbanned.store import SQLiteStore, StoreError"
)


@needs_root
def test_a_folder_that_may_not_be_written() -> None:
    """A user who may not write the folder is told whose it should be."""
    with open_folder() as folder:
        path = folder / "state.db"
        assert as_stranger(IMPORTS, LOAD, str(path)) == (
            f"{path}: cannot be opened (Permission denied); run as the user that owns it, or name "
            "another [store] path"
        )


@needs_root
async def test_a_file_that_may_not_be_written() -> None:
    """A state file of another user in a folder that may be written is refused, not worked round."""
    with open_folder() as folder:
        path = folder / "state.db"
        await saved(path, Changes((ban(1),)))
        folder.chmod(0o777)
        path.with_name("state.db.lock").chmod(0o666)
        text = as_stranger(IMPORTS, LOAD, str(path))
        assert text.startswith(f"{path}: cannot be opened (Permission denied); ")
        assert list((await state_at(path)).bans) == [ban(1)]

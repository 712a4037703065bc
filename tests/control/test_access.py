"""Who may ask for what: known from the kernel, proved with another user of this machine."""

# ruff: noqa: ASYNC240 - the tests look at the socket themselves, in no hurry

from __future__ import annotations

import asyncio
import grp
import os
from pathlib import Path

from tests.control.support import asked, listening
from tests.strangers import STRANGER, as_stranger, needs_root

pytestmark = needs_root

IMPORTS = """
import asyncio, concurrent.futures.thread, encodings.idna
from pathlib import Path
from mailbanned.control import ControlError, ask
from tests.control.support import asked, listening
"""
ASK = """
try:
    print(ask(Path(sys.argv[1]), sys.argv[2]))
except ControlError as error:
    print(f"{error.kind}: {error}")
"""
# A daemon of the stranger's own, asked by the stranger.
OWN = """
async def main():
    path = Path(sys.argv[1])
    async with listening(path):
        print(await asked(path, "change"), os.geteuid())
asyncio.run(main())
"""
GROUP = next(one for one in grp.getgrall() if one.gr_gid not in (0, STRANGER))


async def ask_as_stranger(path: Path, command: str, group: int = STRANGER) -> str:
    """What a user who is neither root nor the daemon's gets to read."""
    return await asyncio.to_thread(as_stranger, IMPORTS, ASK, str(path), command, group=group)


async def test_the_group_may_read(socket_path: Path) -> None:
    """A member of the socket's group is served a command that only reads."""
    async with listening(socket_path, GROUP.gr_name):
        assert await ask_as_stranger(socket_path, "echo", GROUP.gr_gid) == "{}"


async def test_the_group_may_not_change(socket_path: Path) -> None:
    """A member of the group is refused whatever changes something, and nothing is done."""
    async with listening(socket_path, GROUP.gr_name) as desk:
        said = await ask_as_stranger(socket_path, "change", GROUP.gr_gid)
        assert said == "denied: only root may change; try again with sudo"
    assert desk.changes == []


async def test_others_may_not_even_ask(socket_path: Path) -> None:
    """Who is not in the group cannot open the socket and is told to become root."""
    async with listening(socket_path, GROUP.gr_name):
        assert await ask_as_stranger(socket_path, "echo") == (
            f"denied: you may not talk to the daemon at {socket_path}; try again as root"
        )


async def test_an_open_socket_changes_nothing(socket_path: Path) -> None:
    """Even if somebody opens the socket to everybody, strangers may only read."""
    async with listening(socket_path) as desk:
        socket_path.chmod(0o666)
        assert await ask_as_stranger(socket_path, "echo") == "{}"
        assert (await ask_as_stranger(socket_path, "change")).startswith("denied: only root may")
        assert await asked(socket_path, "change") == "changed"
    assert desk.changes == [{}]


async def test_the_daemons_own_user_may_change(socket_path: Path) -> None:
    """The user as whom the daemon runs may do everything, root or not."""
    socket_path.parent.chmod(0o777)
    said = await asyncio.to_thread(as_stranger, IMPORTS, OWN, str(socket_path))
    assert said == f"changed {STRANGER}"
    assert os.geteuid() == 0

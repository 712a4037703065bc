"""Where the socket stands: what it replaces, what it leaves alone, and who may open it."""

# ruff: noqa: ASYNC240 - the tests look at the socket themselves, in no hurry

from __future__ import annotations

import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from mailbanned.control import ControlError
from tests.control.support import asked, listening

OTHER_GROUPS = [one for one in grp.getgrall() if one.gr_gid not in (os.getgid(), 65534)]
MINE = [one for one in OTHER_GROUPS if os.geteuid() == 0 or one.gr_gid in os.getgroups()]


def leave_socket(path: Path) -> None:
    """A socket file that nobody listens on, as a crash leaves it behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.bind(str(path))


async def refusal(path: Path, group: str = "") -> str:
    """Why no server can listen on the path."""
    with pytest.raises(ControlError) as caught:
        async with listening(path, group):
            pass
    return str(caught.value)


async def test_it_comes_and_goes(socket_path: Path) -> None:
    """The socket is there while the server listens, and gone afterwards."""
    async with listening(socket_path):
        assert socket_path.is_socket()
    assert not socket_path.exists()


async def test_only_owner_and_group(socket_path: Path) -> None:
    """Owner and group may open the socket, others may not, whatever the umask is."""
    before = os.umask(0)
    try:
        async with listening(socket_path):
            status = socket_path.stat()
            assert stat.S_IMODE(status.st_mode) == 0o660
            assert status.st_uid == os.geteuid()
            assert os.umask(0) == 0, "the server has put the umask back"
    finally:
        os.umask(before)


async def test_its_folder_is_made(socket_path: Path) -> None:
    """The folder of the socket is made if there is none."""
    path = socket_path.parent / "run" / "mailbanned" / "s"
    async with listening(path):
        assert await asked(path, "echo") == {}


async def test_a_left_behind_socket_is_replaced(socket_path: Path) -> None:
    """A socket that a crash left behind does not keep the next daemon from listening."""
    leave_socket(socket_path)
    async with listening(socket_path):
        assert await asked(socket_path, "echo") == {}


async def test_a_live_one_is_not_replaced(socket_path: Path) -> None:
    """A second daemon on the same socket is refused with a sentence, and the first serves on."""
    async with listening(socket_path):
        assert await refusal(socket_path) == (
            f"{socket_path}: another daemon listens here; stop it first, or give this one another "
            "[control] socket"
        )
        assert await asked(socket_path, "echo") == {}


async def test_a_socket_that_is_busy_is_live(socket_path: Path) -> None:
    """A listener that accepts nobody at the moment is left alone all the same."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.bind(str(socket_path))
        deaf.listen(0)
        inode = socket_path.stat().st_ino
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first:
            first.connect(str(socket_path))
            assert "another daemon listens here" in await refusal(socket_path)
        assert socket_path.stat().st_ino == inode


async def test_what_is_no_socket_stays(socket_path: Path) -> None:
    """A file or folder in the place of the socket is refused, and not touched."""
    socket_path.write_text("precious")
    text = await refusal(socket_path)
    assert text.startswith(f"{socket_path}: cannot listen here (")
    assert text.endswith("); give [control] socket a path in a folder that this user may write")
    assert socket_path.read_text() == "precious"
    assert "cannot listen here" in await refusal(socket_path.parent)
    assert socket_path.parent.is_dir()


@pytest.mark.parametrize("length", [200, 5000])
async def test_too_long_a_path(socket_path: Path, length: int) -> None:
    """A path beyond the kernel's limit is refused with a sentence."""
    path = socket_path.with_name("x" * length)
    assert (await refusal(path)).startswith(f"{path}: cannot listen here (")


async def test_no_folder_can_be_there(socket_path: Path) -> None:
    """A file in the place of the folder is an error with the socket's path."""
    socket_path.write_text("")
    path = socket_path / "s"
    assert (await refusal(path)).startswith(f"{path}: cannot listen here (")


async def test_a_newer_daemons_socket_stays(socket_path: Path) -> None:
    """A daemon that ends removes only its own socket, not one that has taken its place."""
    async with listening(socket_path):
        socket_path.rename(socket_path.with_name("moved"))
        leave_socket(socket_path)
    assert socket_path.is_socket()


@pytest.mark.skipif(not MINE, reason="this user is in no other group")
async def test_group(socket_path: Path) -> None:
    """With a group named, the socket belongs to it."""
    async with listening(socket_path, MINE[0].gr_name):
        assert socket_path.stat().st_gid == MINE[0].gr_gid
        assert stat.S_IMODE(socket_path.stat().st_mode) == 0o660


async def test_no_such_group(socket_path: Path) -> None:
    """A group that does not exist is refused by its option's name, and no socket is left."""
    assert await refusal(socket_path, "no-such-group") == (
        "control.group: there is no group 'no-such-group'; create it or name another"
    )
    assert not socket_path.exists()

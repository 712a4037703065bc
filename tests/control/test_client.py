"""The command line's end of the socket: what it says when there is no good answer."""

# ruff: noqa: ASYNC240 - the tests look at the socket themselves, in no hurry

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from mailbanned.control import ControlError, Unreachable
from tests.control.support import asked


async def silence(path: Path, answer: bytes | None) -> str:
    """What the client raises for a daemon that reads a line, says `answer`, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is not None:
            await reader.readline()
            writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, str(path)):
        with pytest.raises(ControlError) as caught:
            await asked(path, "status")
    return f"{caught.value.kind}: {caught.value}"


async def test_no_socket(socket_path: Path) -> None:
    """Without a daemon the sentence names the path and says what to look at."""
    with pytest.raises(Unreachable) as caught:
        await asked(socket_path, "status")
    assert str(caught.value) == (
        f"no daemon answers at {socket_path} (No such file or directory); is it running "
        "(systemctl status mailbanned), and is [control] socket the same?"
    )


async def test_a_left_behind_socket(socket_path: Path) -> None:
    """A socket that nobody listens on any more is no daemon."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.bind(str(socket_path))
    with pytest.raises(Unreachable, match="Connection refused"):
        await asked(socket_path, "status")


async def test_no_socket_but_a_file(socket_path: Path) -> None:
    """A plain file is no daemon."""
    socket_path.touch()
    with pytest.raises(Unreachable, match=f"^no daemon answers at {socket_path}"):
        await asked(socket_path, "status")


async def test_too_long_a_path(socket_path: Path) -> None:
    """A path that no socket can have is no daemon."""
    with pytest.raises(Unreachable, match="too long"):
        await asked(socket_path.with_name("x" * 200), "status")


async def test_a_daemon_that_hangs_up(socket_path: Path) -> None:
    """A daemon that ends before it answers is said to have hung up."""
    assert await silence(socket_path, b"") == (
        f"unreachable: the daemon at {socket_path} hung up; look at its log"
    )
    assert (await silence(socket_path, None)).startswith("unreachable: ")


@pytest.mark.parametrize(
    "answer", [b"\n", b"hello\n", b'{"ok": true}\n', b'{"ok": tr', b"\xff\xfe"]
)
async def test_an_answer_that_makes_no_sense(socket_path: Path, answer: bytes) -> None:
    """What is no answer is blamed on the versions, and does not crash the command line."""
    assert await silence(socket_path, answer) == (
        "failed: the daemon's answer makes no sense; are the versions equal?"
    )

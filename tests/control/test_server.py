"""The daemon's end of the socket: what it answers, to whom, and what it outlives."""

# ruff: noqa: ASYNC240 - the tests look at the socket themselves, in no hurry

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailbanned.control import ControlError, Refused, Unreachable, protocol
from tests.control.support import answered, asked, is_error, listening
from tests.waiting import HANG_S

# No client is given up before the test has failed.
PATIENT_S = 10 * HANG_S


async def test_it_answers(socket_path: Path) -> None:
    """A command is done with its arguments, and its result is the answer."""
    async with listening(socket_path) as desk:
        assert await asked(socket_path, "echo", {"a": [1, None, "\u00e9"]}) == {"a": [1, None, "é"]}
        assert await asked(socket_path, "echo") == {}
        assert await asked(socket_path, "change", {"b": 2}) == "changed"
    assert desk.changes == [{"b": 2}]


async def test_a_refusal_is_told(socket_path: Path) -> None:
    """What a command refuses, the client raises with the same words."""
    async with listening(socket_path):
        with pytest.raises(Refused, match=r"^that is refused; ask for something else$"):
            await asked(socket_path, "refuse")


async def test_unknown_commands(socket_path: Path) -> None:
    """A command that the daemon does not have is an error that names it."""
    async with listening(socket_path):
        with pytest.raises(ControlError, match=r"^the daemon does not know the command 'dance'$"):
            await asked(socket_path, "dance")


@pytest.mark.parametrize("command", ["break", "nonsense"])
async def test_a_bug_in_a_command(socket_path: Path, command: str) -> None:
    """A command that fails by a bug is answered and logged, and the next one is served."""
    async with listening(socket_path):
        with pytest.raises(ControlError, match=r"^the daemon failed; see its log$"):
            await asked(socket_path, command)
        assert await asked(socket_path, "echo") == {}


@settings(max_examples=60)
@given(said=st.binary(max_size=300) | st.text().map(str.encode))
@example(said=b"")
@example(said=b"\n")
@example(said=b"\0\xff\n" * 50)
@example(said=b'{"version": 1, "command": "change", "arguments": 5}\n')
@example(said=b"[" * 100_000 + b"\n")
async def test_any_bytes_are_outlived(said: bytes, socket_path: Path) -> None:
    """Whatever a client says, it gets an error or is hung up on, and the next one is served."""
    async with listening(socket_path) as desk:
        assert is_error(await answered(socket_path, said))
        assert await answered(socket_path, protocol.request("echo", {})) == protocol.answer({})
    assert desk.changes == []


async def test_a_client_that_leaves_early(socket_path: Path) -> None:
    """Clients that go without a word, in the middle of one, or before the answer, do no harm."""
    request = protocol.request("long", {"length": 5_000_000})
    async with listening(socket_path):
        for said in (b"", request[:10], request):
            _, writer = await asyncio.open_unix_connection(str(socket_path))
            writer.write(said)
            await writer.drain()
            writer.transport.abort()
        assert await asked(socket_path, "echo") == {}


async def test_long_requests_and_answers(socket_path: Path) -> None:
    """A request of hundreds of kilobytes and an answer of many megabytes get through."""
    many = {"addresses": ["2001:db8::1"] * 50_000}
    async with listening(socket_path):
        assert await asked(socket_path, "echo", many) == many
        assert len(await asked(socket_path, "long", {"length": 20_000_000})) == 20_000_000


async def test_endless_requests_are_cut_off(socket_path: Path) -> None:
    """A request beyond the limit is hung up on unread, and the next client is served."""
    async with listening(socket_path) as desk:
        assert await answered(socket_path, b"x" * 4_000_000, end=False) == b""
        too_long = {"x": "x" * protocol.MAX_REQUEST_BYTES * 2}
        with pytest.raises(Unreachable):
            await asked(socket_path, "change", too_long)
        assert await asked(socket_path, "echo") == {}
    assert desk.changes == []


async def test_only_the_first_line_is_a_request(socket_path: Path) -> None:
    """One connection is one request; what stands behind it is not read."""
    request = protocol.request("change", {})
    async with listening(socket_path) as desk:
        assert await answered(socket_path, request * 3) == protocol.answer("changed")
    assert desk.changes == [{}]


async def test_slow_clients_hold_up_nobody(socket_path: Path) -> None:
    """Beside clients that say nothing, half a word, or wait for their answer, others are served."""
    async with listening(socket_path, timeout=PATIENT_S) as desk:
        waiting = asyncio.create_task(asked(socket_path, "wait"))
        slow: list[Any] = []
        for said in (b"", b'{"version"'):
            slow.append(await asyncio.open_unix_connection(str(socket_path)))
            slow[-1][1].write(said)
        async with asyncio.timeout(HANG_S):
            assert await asked(socket_path, "echo") == {}
        assert not waiting.done()
        desk.gate.set()
        assert await waiting == "opened"
        for _, writer in slow:
            writer.close()
            await writer.wait_closed()


async def test_a_crowd_is_bounded(socket_path: Path) -> None:
    """Beyond some tens of clients at once others are hung up on; when they leave, all is well."""
    async with listening(socket_path, timeout=PATIENT_S):
        crowd = [await asyncio.open_unix_connection(str(socket_path)) for _ in range(40)]
        with pytest.raises(Unreachable):
            await asked(socket_path, "echo")
        for _, writer in crowd:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(HANG_S):
            request = protocol.request("echo", {})
            while not await answered(socket_path, request):  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.01)


async def test_the_end_waits_for_no_client(socket_path: Path) -> None:
    """A daemon that stops does not wait for a client that says nothing."""
    async with asyncio.timeout(HANG_S):
        async with listening(socket_path, timeout=PATIENT_S):
            _, writer = await asyncio.open_unix_connection(str(socket_path))
            assert await asked(socket_path, "echo") == {}
        assert not socket_path.exists()
        writer.close()
        await writer.wait_closed()

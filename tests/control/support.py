"""A control server with a few commands, and a client that says whatever it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from mailbanned.control import Refused, ask
from mailbanned.control.server import Command, ControlServer
from tests.waiting import HANG_S


class Desk:
    """Commands that do next to nothing, and remember who changed what.

    gate: "wait" answers once it is set.
    """

    def __init__(self) -> None:
        self.changes: list[Any] = []
        self.gate = asyncio.Event()
        self.commands = {
            "echo": Command(self._echo, reads_only=True),
            "long": Command(self._long, reads_only=True),
            "wait": Command(self._wait, reads_only=True),
            "nonsense": Command(self._nonsense, reads_only=True),
            "change": Command(self._change),
            "refuse": Command(self._refuse),
            "break": Command(self._break),
        }

    async def _echo(self, arguments: dict[str, Any]) -> Any:
        return arguments

    async def _long(self, arguments: dict[str, Any]) -> Any:
        return "x" * int(arguments["length"])

    async def _wait(self, _: dict[str, Any]) -> Any:
        await self.gate.wait()
        return "opened"

    async def _nonsense(self, _: dict[str, Any]) -> Any:
        return object()

    async def _change(self, arguments: dict[str, Any]) -> Any:
        self.changes.append(arguments)
        return "changed"

    async def _refuse(self, _: dict[str, Any]) -> Any:
        raise Refused("that is refused; ask for something else")

    async def _break(self, _: dict[str, Any]) -> Any:
        raise ZeroDivisionError("a bug")


@asynccontextmanager
async def listening(path: Path, group: str = "", timeout: float = 10.0) -> AsyncIterator[Desk]:
    """A server on the path, whose tasks must not fail behind our back."""
    desk = Desk()
    failed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    async with ControlServer(path, desk.commands, group, timeout=timeout).listening():
        yield desk
    assert failed == []


async def asked(path: Path, command: str, arguments: dict[str, Any] | None = None) -> Any:
    """What the real client gets for an answer; it blocks, so it has a thread of its own."""
    async with asyncio.timeout(HANG_S):
        return await asyncio.to_thread(ask, path, command, arguments)


async def answered(path: Path, said: bytes, end: bool = True) -> bytes:
    """All that the server answers to these bytes until it hangs up (nothing, if it resets)."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 27)
    with suppress(ConnectionError):
        try:
            async with asyncio.timeout(HANG_S):
                writer.write(said)
                if end:
                    writer.write_eof()
                return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
    return b""


def is_error(answer: bytes) -> bool:
    """Whether an answer says politely that something is wrong (or is the end of the talk)."""
    if not answer:
        return True
    document = json.loads(answer)
    return document["ok"] is False and bool(document["error"]) and bool(document["kind"])

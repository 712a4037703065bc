"""What must hold of any bytes that somebody says to the daemon's socket.

A whole daemon runs dry in this process, so that a coverage-guided run sees what a request reaches.
It lives on while it is talked to, and only then.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mailbanned.config.load import load
from mailbanned.control import protocol
from mailbanned.daemon import Daemon
from tests.running import write_config
from tests.waiting import HANG_S


class Listener:
    """The daemon that listens. It blocks: not to be used from within an event loop."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._socket = write_config(folder).with_name("control.sock")
        config = load(folder / "mailbanned.toml")
        self._daemon = self._loop.create_task(Daemon(config, dry_run=True).run())
        try:
            self._loop.run_until_complete(self._answers())
        except BaseException:
            self.close()
            raise

    def check(self, data: bytes) -> None:
        """Whatever is said, it is answered in a sentence, which is no excuse for a bug; status and
        state file are as well as before. Bans are lifted again.
        """
        if b"reload" in data:
            return  # takes a second, and tests of its own
        answer = self._say(data)
        if answer:
            said = json.loads(answer)
            assert said["ok"] or (said["error"] and said["kind"]), said
            assert said["ok"] or "see its log" not in said["error"], said
        status = self._ask("status")
        assert status["store"]["error"] == "", status["store"]
        self._ask("unban", all=True)

    def close(self) -> None:
        """Ends the daemon, if it still runs."""
        self._daemon.cancel()
        with suppress(asyncio.CancelledError, Exception):
            self._loop.run_until_complete(self._daemon)
        self._loop.close()

    def _ask(self, command: str, **arguments: Any) -> Any:
        """The result of a command that must work."""
        return protocol.parse_answer(self._say(protocol.request(command, arguments)))

    def _say(self, data: bytes) -> bytes:
        answer = self._loop.run_until_complete(self._talk(data))
        assert not self._daemon.done(), f"the daemon has ended: {self._daemon}"
        return answer

    async def _talk(self, data: bytes) -> bytes:
        async with asyncio.timeout(HANG_S):
            reader, writer = await asyncio.open_unix_connection(self._socket, limit=1 << 26)
            try:
                writer.write(data)
                writer.write_eof()
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    async def _answers(self) -> None:
        async with asyncio.timeout(HANG_S):
            while not self._socket.exists() and not self._daemon.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@contextmanager
def listening() -> Iterator[Listener]:
    """A daemon in a folder of its own until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="mailbanned-fuzz-") as folder:
        listener = Listener(Path(folder))
        try:
            yield listener
        finally:
            listener.close()


@contextmanager
def checking() -> Iterator[Callable[[bytes], None]]:
    """The check of one daemon."""
    with listening() as listener:
        yield listener.check

"""The daemon's end of the control socket.

The kernel says which user asks (SO_PEERCRED): root and the daemon's own user may do everything;
others that the socket's mode admits (its group) may only read.
"""

from __future__ import annotations

import asyncio
import grp
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailbanned.control import protocol
from mailbanned.log import get_logger

_log = get_logger("control")

_MAX_CLIENTS = 32
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Command:
    """What the daemon does when asked: arguments in, a JSON value out. Raises ControlError."""

    handle: Callable[[dict[str, Any]], Awaitable[Any]]
    reads_only: bool = False


class ControlServer:
    """Listens on a unix socket and answers with `commands`.

    timeout: for how long a client may take to send its request, and to read the answer (s).
    """

    def __init__(
        self,
        path: Path,
        commands: Mapping[str, Command],
        group: str = "",
        *,
        timeout: float = _TIMEOUT_S,
    ) -> None:
        self._timeout = timeout
        self._path = path
        self._commands = commands
        self._group = group
        self._clients = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answers while the block runs; ControlError if the socket cannot be had."""
        server = await asyncio.start_unix_server(
            self._serve, sock=self._bind(), limit=protocol.MAX_REQUEST_BYTES
        )
        inode = self._path.stat().st_ino
        try:
            yield
        finally:
            server.close()
            # Another daemon may have put its own socket here meanwhile.
            with suppress(OSError):
                if self._path.stat().st_ino == inode:
                    self._path.unlink()

    def _bind(self) -> socket.socket:
        """A socket at the path; one that a crash left behind is replaced, a live one is not."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.is_socket():
                self._replace()
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            before = os.umask(0o177)
            try:
                listener.bind(str(self._path))
            except OSError:
                listener.close()
                raise
            finally:
                os.umask(before)
        except OSError as error:
            raise protocol.ControlError(
                f"{self._path}: cannot listen here ({error.strerror or error}); give [control] "
                "socket a path in a folder that this user may write"
            ) from None
        try:
            self._let_group_in()
        except protocol.ControlError:
            listener.close()
            self._path.unlink(missing_ok=True)
            raise
        return listener

    def _let_group_in(self) -> None:
        try:
            if self._group:
                os.chown(self._path, -1, grp.getgrnam(self._group).gr_gid)
            self._path.chmod(0o660)
        except KeyError:
            raise protocol.ControlError(
                f"control.group: there is no group {self._group!r}; create it or name another"
            ) from None
        except OSError as error:
            raise protocol.ControlError(
                f"control.group: the socket cannot be given to group {self._group!r} "
                f"({error.strerror or error}); make this user a member of it or name another"
            ) from None

    def _replace(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self._path))
            except (ConnectionRefusedError, FileNotFoundError):
                with suppress(FileNotFoundError):
                    self._path.unlink()
                return
            except OSError:
                pass
        raise protocol.ControlError(
            f"{self._path}: another daemon listens here; stop it first, or give this one another "
            "[control] socket"
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= _MAX_CLIENTS:
                async with asyncio.timeout(self._timeout):
                    line = await reader.readline()
                writer.write(await self._answer(line, writer))
                async with asyncio.timeout(self._timeout):
                    await writer.drain()
        except (TimeoutError, OSError, ValueError):
            # The client sends nothing or too much, reads nothing, or is gone: it gets no answer,
            # and closing must not wait for it.
            writer.transport.abort()
        finally:
            self._clients -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> bytes:
        try:
            name, arguments = protocol.parse_request(line)
            command = self._commands.get(name)
            if command is None:
                raise protocol.ControlError(f"the daemon does not know the command {name!r}")
            uid = _peer(writer)
            if not command.reads_only and uid not in (0, os.geteuid()):
                raise protocol.Denied(f"only root may {name}; try again with sudo")
            return protocol.answer(await command.handle(arguments))
        except protocol.ControlError as error:
            return protocol.failure(error)
        except Exception:
            _log.exception("a command failed; this is a bug, please report it")
            return protocol.failure(protocol.ControlError("the daemon failed; see its log"))


def _peer(writer: asyncio.StreamWriter) -> int:
    """The uid at the other end, as the kernel knows it."""
    connection = writer.get_extra_info("socket")
    credentials = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    return int(struct.unpack("3i", credentials)[1])

"""A D-Bus daemon for tests: authenticates, answers as it shall, sends signals, and fails."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
import io
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from dbus_next._private.constants import LITTLE_ENDIAN, PROTOCOL_VERSION, HeaderField
from dbus_next._private.marshaller import Marshaller
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.constants import MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

Answer = Callable[[Message], Message | None]


def values(signature: str, *body: Any) -> Answer:
    """Answers any call with these values."""
    return lambda call: Message.new_method_return(call, signature, list(body))


def error(name: str, text: str) -> Answer:
    """Answers any call with a D-Bus error."""
    return lambda call: Message.new_error(call, name, text)


def silence(_: Message) -> None:
    """Never answers."""


class FakeBus:
    """Listens at `address`; everything else is set before or while a client is connected.

    at_auth: what it says to the client's authentication; "" hangs up, None keeps silent.
    answers: member -> how calls of it are answered; all others succeed with nothing.
    calls: what was called, as (member, body), in order; Hello is not noted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = f"unix:path={path}"
        self.at_auth: str | None = "OK 1234deadbeef"
        self.answers: dict[str, Answer] = {"Hello": values("s", ":1.1")}
        self.calls: list[tuple[str, list[Any]]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._serial = 0

    def hang_up(self) -> None:
        """Closes all connections."""
        for writer in self._writers:
            writer.close()

    def signal(self, sender: str, interface: str, member: str, *body: str) -> None:
        """Sends a signal to every client."""
        self._send(Message.new_signal("/a", interface, member, "s" * len(body), list(body)), sender)

    def _send(self, message: Message, sender: str) -> None:
        self._serial += 1
        for writer in self._writers:
            writer.write(_encode(message, self._serial, sender))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talks to one client until either side hangs up."""
        self._writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n")
            if self.at_auth is None:
                await reader.read()
            writer.write(f"{self.at_auth}\r\n".encode() if self.at_auth else b"")
            if self.at_auth and self.at_auth.startswith("OK"):
                await reader.readuntil(b"BEGIN\r\n")
                while True:
                    self._answer(await _read(reader))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def _answer(self, call: Message) -> None:
        if call.member != "Hello":
            self.calls.append((call.member, call.body))
        call.sender = ":1.1"
        if reply := self.answers.get(call.member, values(""))(call):
            self._send(reply, "org.freedesktop.DBus")


async def _read(reader: asyncio.StreamReader) -> Message:
    start = await reader.readexactly(16)
    body_length, _, fields_length = struct.unpack_from("<III", start, 4)
    rest = await reader.readexactly((fields_length + 7) // 8 * 8 + body_length)
    message: Message = Unmarshaller(io.BytesIO(start + rest)).unmarshall()
    assert message.message_type is MessageType.METHOD_CALL
    return message


def _encode(message: Message, serial: int, sender: str) -> bytes:
    """The message on the wire. The library's own encoder leaves out the sender."""
    body = Marshaller(message.signature, message.body)
    body.marshall()
    fields = [
        [field.value, Variant(kind, value)]
        for field, kind, value in (
            (HeaderField.PATH, "o", message.path),
            (HeaderField.INTERFACE, "s", message.interface),
            (HeaderField.MEMBER, "s", message.member),
            (HeaderField.ERROR_NAME, "s", message.error_name),
            (HeaderField.REPLY_SERIAL, "u", message.reply_serial),
            (HeaderField.SENDER, "s", sender),
            (HeaderField.SIGNATURE, "g", message.signature),
        )
        if value
    ]
    kind = message.message_type.value
    start = [LITTLE_ENDIAN, kind, 0, PROTOCOL_VERSION, len(body.buffer), serial, fields]
    header = Marshaller("yyyyuua(yv)", start)
    header.marshall()
    header.align(8)
    return bytes(header.buffer + body.buffer)


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[FakeBus]:
    """A bus that listens until the end of the block."""
    bus = FakeBus(path)
    server = await asyncio.start_unix_server(bus.serve, path)
    try:
        yield bus
    finally:
        server.close()
        bus.hang_up()
        await server.wait_closed()
        await asyncio.sleep(0)

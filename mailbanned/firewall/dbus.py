"""firewalld's D-Bus methods, over a connection to the system bus on which each call ends in time.

This is the only file that knows dbus_next. dbus_next hangs in a call made after the connection
broke, has no timeouts, and loops for ever when the bus closes during authentication. `SystemBus`
guards against all three. `FirewalldApi` translates the errors of firewalld; its methods raise
FirewallDown or FirewallRefused and nothing else.

Known limits: dbus_next's constructor connects to the unix socket and blocks, which takes no time
unless the bus no longer accepts connections. dbus_next is no longer maintained; its fork dbus-fast
has the same interface, and could replace it in the imports below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import BusType, MessageFlag, MessageType
from dbus_next.errors import AuthError
from dbus_next.message import Message

from mailbanned.firewall.base import FirewallDown, FirewallRefused
from mailbanned.firewall.zones import ActiveZones

# More calls in flight gain nothing, since firewalld takes them one by one, and a new ban would wait
# behind them.
_MAX_IN_FLIGHT = 4


class BusError(Exception):
    """No reply: the bus is unreachable, the connection broke, or the call timed out.

    The method may or may not have been carried out. The text is one plain sentence.
    """


class ErrorReply(Exception):
    """The reply was an error.

    name: D-Bus error name, for example "org.freedesktop.DBus.Error.NameHasNoOwner".
    text: its message, "" if it has none.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class Signal(NamedTuple):
    """A signal that matched one of our match rules, or was sent to us alone."""

    sender: str
    interface: str
    member: str
    body: list[Any]


class SystemBus:
    """One connection, from `open` until `close` or until it breaks; it cannot be reopened.

    on_signal: called with every signal, in the order of arrival.
    on_broken: called once, with a plain sentence, if the connection breaks before `close`.
    timeout: seconds for connecting, and for each call.
    """

    def __init__(
        self,
        on_signal: Callable[[Signal], None],
        on_broken: Callable[[str], None],
        timeout: float,
    ) -> None:
        self._on_signal = on_signal
        self._on_broken = on_broken
        self._timeout = timeout
        self._slots = asyncio.Semaphore(_MAX_IN_FLIGHT)
        self._connection: _Connection | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def open(self, address: str | None) -> None:
        """Connects to `address`, by default the system bus. Raises BusError."""
        connection = None
        try:
            async with asyncio.timeout(self._timeout):
                connection = _Connection(address, BusType.SYSTEM)  # type: ignore[arg-type]
                await connection.connect()
        except BaseException as error:
            if connection is not None:
                connection.drop()
            if not isinstance(error, Exception):
                raise
            raise BusError(f"the system bus cannot be reached: {_describe(error)}") from error
        connection.add_message_handler(self._receive)
        self._connection = connection
        self._watcher = asyncio.create_task(self._watch(connection))

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
    ) -> list[Any]:
        """Calls a method and returns the values of its reply. Raises BusError or ErrorReply."""
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
            flags=MessageFlag.NO_AUTOSTART,
        )
        async with self._slots:
            reply = await self._ask(message)
        if reply.message_type is MessageType.ERROR:
            text = reply.body[0] if reply.signature.startswith("s") else ""
            raise ErrorReply(reply.error_name or "", text)
        return reply.body

    async def close(self) -> None:
        """Closes the socket; calls still in flight end with BusError."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()
        if self._watcher is not None:
            await self._watcher

    async def _ask(self, message: Message) -> Message:
        connection = self._connection
        if connection is None or not connection.connected:
            raise BusError("the connection to the system bus is gone")
        try:
            async with asyncio.timeout(self._timeout):
                reply = await connection.call(message)
        except TimeoutError:
            raise BusError(
                f"{message.destination} did not answer {message.member} in {self._timeout:g} s"
            ) from None
        except Exception as error:
            raise BusError(f"the connection to the system bus broke: {_describe(error)}") from error
        if reply is None:  # dbus_next returns this for a call ended by our own close
            raise BusError("the connection to the system bus was closed")
        return reply

    def _receive(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL:
            self._on_signal(
                Signal(message.sender or "", message.interface, message.member, message.body)
            )

    async def _watch(self, connection: _Connection) -> None:
        reason = "the system bus closed the connection"
        try:
            await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except Exception as error:
            reason = f"{reason}: {_describe(error)}"
        if self._connection is connection:
            self._on_broken(reason)


def _describe(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


class _Connection(MessageBus):
    """dbus_next's connection, fixed: it leaks no socket and has no endless loop."""

    def drop(self) -> None:
        """Closes the socket at once, ends pending calls, and leaves no callback behind."""
        self._user_disconnect = True
        self._finalize(None)  # type: ignore[no-untyped-call]
        with suppress(OSError):
            self._stream.close()
        self._sock.close()

    def _setup_socket(self) -> None:
        try:
            super()._setup_socket()  # type: ignore[no-untyped-call]
        except BaseException:
            if hasattr(self, "_sock"):
                self._stream.close()
                self._sock.close()
            raise

    async def _auth_readline(self) -> str:
        line = b""
        while not line.endswith(b"\r\n"):
            received = await self._loop.sock_recv(self._sock, 512)
            if not received:
                raise AuthError("it closed the connection during authentication")
            line += received
        return line[:-2].decode("ascii", "replace")


NAME = "org.fedoraproject.FirewallD1"
ZONE = f"{NAME}.zone"
PATH = "/org/fedoraproject/FirewallD1"
CONFIG = f"{NAME}.config"
CONFIG_ZONE = f"{CONFIG}.zone"
CONFIG_PATH = f"{PATH}/config"
DBUS = "org.freedesktop.DBus"

# Never a lifetime of firewalld's own: with one rule waiting for its end, `firewall-cmd --reload`
# crashes in many releases, and the host then answers nothing.
_NO_TIMEOUT = 0

_NOT_RUNNING = "firewalld is not running"
_DOWN = {
    f"{DBUS}.Error.ServiceUnknown": _NOT_RUNNING,
    f"{DBUS}.Error.NameHasNoOwner": _NOT_RUNNING,
    f"{DBUS}.Error.NoReply": "firewalld ended before it answered",
    f"{NAME}.NotAuthorizedException": "firewalld does not let this user change its rules: "
    "install the polkit rule that comes with mailbanned",
}
_DOWN_CODES = {
    "PANIC_MODE": "firewalld is in panic mode and changes no rules",
    "INVALID_ZONE": "firewalld does not know the zone",
}
_REFUSED_CODES = {"INVALID_RULE", "INVALID_ADDR", "INVALID_FAMILY", "MISSING_FAMILY"}


class FirewalldApi:
    """The methods of firewalld that are needed here, over one bus connection."""

    def __init__(self, bus: SystemBus) -> None:
        self._bus = bus

    async def subscribe(self, match: str) -> None:
        """Subscribes to the signals that the match rule describes."""
        await self._call(DBUS, "/org/freedesktop/DBus", DBUS, "AddMatch", "s", match)

    async def owner(self) -> str:
        """Returns the unique bus name of the running firewalld."""
        [owner] = await self._call(DBUS, "/org/freedesktop/DBus", DBUS, "GetNameOwner", "s", NAME)
        return str(owner)

    async def add_rule(self, zone: str, rule: str) -> None:
        """Adds a runtime rich rule to a zone, if it is not there."""
        await self._change("ALREADY_ENABLED", "addRichRule", "ssi", zone, rule, _NO_TIMEOUT)

    async def remove_rule(self, zone: str, rule: str) -> None:
        """Removes a runtime rich rule from a zone, if it is there."""
        await self._change("NOT_ENABLED", "removeRichRule", "ss", zone, rule)

    async def rules(self, zone: str) -> list[str]:
        """Returns the runtime rich rules of a zone, in firewalld's canonical form."""
        [rules] = await self._call(NAME, PATH, ZONE, "getRichRules", "s", zone)
        return list(rules)

    async def zones(self) -> list[str]:
        """Returns the names of all zones. None at all means that a reload crashed."""
        [zones] = await self._call(NAME, PATH, ZONE, "getZones")
        return list(zones)

    async def active_zones(self) -> ActiveZones:
        """Returns the zones that name interfaces or sources, with these."""
        [zones] = await self._call(NAME, PATH, ZONE, "getActiveZones")
        return dict(zones)

    async def default_zone(self) -> str:
        """Returns the zone of all interfaces that no zone names."""
        [zone] = await self._call(NAME, PATH, NAME, "getDefaultZone")
        return str(zone)

    async def in_panic(self) -> bool:
        """Whether panic mode is on: all packets are dropped and no rule can be changed."""
        [panic] = await self._call(NAME, PATH, NAME, "queryPanicMode")
        return bool(panic)

    async def permanent_zone(self, zone: str) -> str:
        """Returns the object path of a zone's permanent configuration."""
        [path] = await self._call(NAME, CONFIG_PATH, CONFIG, "getZoneByName", "s", zone)
        return str(path)

    async def permanent_rules(self, path: str) -> list[str]:
        """Returns the rich rules in a zone's permanent configuration."""
        [rules] = await self._call(NAME, path, CONFIG_ZONE, "getRichRules")
        return list(rules)

    async def set_permanent_rules(self, path: str, rules: list[str]) -> None:
        """Replaces the rich rules in a zone's permanent configuration."""
        await self._call(NAME, path, CONFIG_ZONE, "setRichRules", "as", rules)

    async def _change(self, unchanged: str, member: str, signature: str, *body: Any) -> None:
        """Changes a rule. The error code `unchanged` says that there was nothing to change."""
        try:
            await self._bus.call(NAME, PATH, ZONE, member, signature, body)
        except ErrorReply as reply:
            if _code(reply) != unchanged:
                raise _translate(reply) from reply
        except BusError as error:
            raise FirewallDown(str(error)) from error

    async def _call(
        self, to: str, path: str, interface: str, member: str, signature: str = "", *body: Any
    ) -> list[Any]:
        try:
            return await self._bus.call(to, path, interface, member, signature, body)
        except ErrorReply as reply:
            raise _translate(reply) from reply
        except BusError as error:
            raise FirewallDown(str(error)) from error


def _code(reply: ErrorReply) -> str:
    """Returns firewalld's own error code, with which its messages begin."""
    return reply.text.partition(":")[0] if reply.name == f"{NAME}.Exception" else ""


def _translate(reply: ErrorReply) -> FirewallDown | FirewallRefused:
    if _code(reply) in _REFUSED_CODES:
        return FirewallRefused(f"firewalld refuses the rule: {reply.text}")
    sentence = _DOWN.get(reply.name) or _DOWN_CODES.get(_code(reply))
    return FirewallDown(sentence or f"firewalld failed: {reply.text or reply.name}")

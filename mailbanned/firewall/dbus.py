"""A connection to the system bus that always answers or fails. The only file that knows dbus_next.

dbus_next hangs in a call made after the connection broke, has no timeouts, and spins for ever when
the bus closes during authentication. All three are guarded here, and all its errors end here.

Known limit: connecting to the unix socket itself is done by dbus_next's constructor and blocks,
which takes no time unless the bus is so stuck that it no longer accepts.

firewalld's D-Bus methods as far as they are needed here, and what its errors mean for a ban.

Every method raises FirewallDown or FirewallRefused and nothing else.
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

# More calls in flight win nothing, since firewalld takes them one by one, and an urgent call would
# wait behind them.
_IN_FLIGHT = 4


class BusError(Exception):
    """No answer: the bus is unreachable, the connection broke, or nobody answered in time.

    What was asked for may or may not have happened. The text is one plain sentence.
    """


class ErrorReply(Exception):
    """The other side answered with an error.

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


class Bus:
    """One connection, from `open` until `close` or until it breaks; never reused.

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
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self._connection: _Connection | None = None
        self._watching: asyncio.Task[None] | None = None

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
            raise BusError(f"the system bus cannot be reached: {_words(error)}") from error
        connection.add_message_handler(self._receive)
        self._connection = connection
        self._watching = asyncio.create_task(self._watch(connection))

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
        if self._watching is not None:
            await self._watching

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
            raise BusError(f"the connection to the system bus broke: {_words(error)}") from error
        if reply is None:  # what dbus_next answers for a call cut off by our own close
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
            reason = f"{reason}: {_words(error)}"
        if self._connection is connection:
            self._on_broken(reason)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


class _Connection(MessageBus):
    """dbus_next's connection without its leaks and endless loops."""

    def drop(self) -> None:
        """Ends it at once: pending calls end, the socket is closed, no callback is left behind."""
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
            more = await self._loop.sock_recv(self._sock, 512)
            if not more:
                raise AuthError("it ended the conversation during authentication")
            line += more
        return line[:-2].decode("ascii", "replace")


NAME = "org.fedoraproject.FirewallD1"
ZONE = f"{NAME}.zone"
PATH = "/org/fedoraproject/FirewallD1"
CONFIG = f"{NAME}.config"
CONFIG_ZONE = f"{CONFIG}.zone"
CONFIG_PATH = f"{PATH}/config"
DBUS = "org.freedesktop.DBus"

# Never a lifetime of firewalld's own: with one rule waiting for its end, `firewall-cmd --reload`
# crashes in many releases and leaves a host that answers nobody.
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


class Calls:
    """The methods, over one bus connection."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def subscribe(self, match: str) -> None:
        """Asks the bus for the signals that the match rule describes."""
        await self._call(DBUS, "/org/freedesktop/DBus", DBUS, "AddMatch", "s", match)

    async def owner(self) -> str:
        """The unique bus name of the running firewalld."""
        [owner] = await self._call(DBUS, "/org/freedesktop/DBus", DBUS, "GetNameOwner", "s", NAME)
        return str(owner)

    async def add_rule(self, zone: str, rule: str) -> None:
        """Puts a runtime rich rule into a zone, if it is not there."""
        await self._change("ALREADY_ENABLED", "addRichRule", "ssi", zone, rule, _NO_TIMEOUT)

    async def remove_rule(self, zone: str, rule: str) -> None:
        """Takes a runtime rich rule out of a zone, if it is there."""
        await self._change("NOT_ENABLED", "removeRichRule", "ss", zone, rule)

    async def rules(self, zone: str) -> list[str]:
        """The runtime rich rules of a zone, in firewalld's canonical form."""
        [rules] = await self._call(NAME, PATH, ZONE, "getRichRules", "s", zone)
        return list(rules)

    async def zones(self) -> list[str]:
        """The names of all zones. None at all means that a reload of firewalld crashed."""
        [zones] = await self._call(NAME, PATH, ZONE, "getZones")
        return list(zones)

    async def active_zones(self) -> ActiveZones:
        """The zones that name interfaces or sources, and which."""
        [zones] = await self._call(NAME, PATH, ZONE, "getActiveZones")
        return dict(zones)

    async def default_zone(self) -> str:
        """The zone of all interfaces that no zone names."""
        [zone] = await self._call(NAME, PATH, NAME, "getDefaultZone")
        return str(zone)

    async def in_panic(self) -> bool:
        """Whether panic mode is on: all packets are dropped and no rule can be changed."""
        [panic] = await self._call(NAME, PATH, NAME, "queryPanicMode")
        return bool(panic)

    async def permanent_zone(self, zone: str) -> str:
        """The object path of a zone's permanent configuration."""
        [path] = await self._call(NAME, CONFIG_PATH, CONFIG, "getZoneByName", "s", zone)
        return str(path)

    async def permanent_rules(self, path: str) -> list[str]:
        """The rich rules in a zone's permanent configuration."""
        [rules] = await self._call(NAME, path, CONFIG_ZONE, "getRichRules")
        return list(rules)

    async def set_permanent_rules(self, path: str, rules: list[str]) -> None:
        """Replaces the rich rules in a zone's permanent configuration."""
        await self._call(NAME, path, CONFIG_ZONE, "setRichRules", "as", rules)

    async def _change(self, fine: str, member: str, signature: str, *body: Any) -> None:
        """Changes a rule; the error code `fine` says that nothing had to be changed."""
        try:
            await self._bus.call(NAME, PATH, ZONE, member, signature, body)
        except ErrorReply as reply:
            if _code(reply) != fine:
                raise _meaning(reply) from reply
        except BusError as error:
            raise FirewallDown(str(error)) from error

    async def _call(
        self, to: str, path: str, interface: str, member: str, signature: str = "", *body: Any
    ) -> list[Any]:
        try:
            return await self._bus.call(to, path, interface, member, signature, body)
        except ErrorReply as reply:
            raise _meaning(reply) from reply
        except BusError as error:
            raise FirewallDown(str(error)) from error


def _code(reply: ErrorReply) -> str:
    """firewalld's own error code, which its messages begin with."""
    return reply.text.partition(":")[0] if reply.name == f"{NAME}.Exception" else ""


def _meaning(reply: ErrorReply) -> FirewallDown | FirewallRefused:
    if _code(reply) in _REFUSED_CODES:
        return FirewallRefused(f"firewalld refuses the rule: {reply.text}")
    sentence = _DOWN.get(reply.name) or _DOWN_CODES.get(_code(reply))
    return FirewallDown(sentence or f"firewalld failed: {reply.text or reply.name}")

"""The floor: what firewalld and the bus alone take for the same rules, with nothing round them."""

from __future__ import annotations

import asyncio
import time

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import MessageType
from dbus_next.message import Message

_NAME, _PATH = "org.fedoraproject.FirewallD1", "/org/fedoraproject/FirewallD1"


async def add_rules(bus_address: str, addresses: list[str], in_flight: int) -> float:
    """Adds a rich rule for each address, returns the seconds it took, and removes them again."""
    bus = await MessageBus(bus_address=bus_address).connect()
    window = asyncio.Semaphore(in_flight)

    async def call(member: str, signature: str, *body: object) -> None:
        async with window:
            message = Message(
                destination=_NAME, path=_PATH, interface=f"{_NAME}.zone", member=member,
                signature=signature, body=list(body),
            )  # fmt: skip
            reply = await bus.call(message)
            assert reply is not None
            if reply.message_type is MessageType.ERROR:
                raise RuntimeError(str(reply.body))

    # Without /32: another spelling than ours, so that the daemon leaves these rules alone.
    rules = [f'rule family="ipv4" source address="{address}" drop' for address in addresses]
    began = time.monotonic()
    await asyncio.gather(*(call("addRichRule", "ssi", "public", rule, 0) for rule in rules))
    took = time.monotonic() - began
    await asyncio.gather(*(call("removeRichRule", "ss", "public", rule) for rule in rules))
    bus.disconnect()  # type: ignore[no-untyped-call]
    return took

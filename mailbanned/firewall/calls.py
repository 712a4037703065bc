"""firewalld's D-Bus methods as far as they are needed here, and what its errors mean for a ban.

Every method raises FirewallDown or FirewallRefused and nothing else.
"""

from __future__ import annotations

from typing import Any

from mailbanned.firewall.base import FirewallDown, FirewallRefused
from mailbanned.firewall.bus import Bus, BusError, ErrorReply
from mailbanned.firewall.zones import ActiveZones

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

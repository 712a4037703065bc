"""What the daemon does when the command line asks: one function each.

Arguments come from another process, and are checked before anything is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_network
from typing import Any

from mailbanned.address import (
    NEVER_BANNED,
    SHORTEST_PREFIX,
    Network,
    Subject,
    display_subject,
    unmap_ipv4_network,
)
from mailbanned.control import ControlError, Refused
from mailbanned.control.server import Command
from mailbanned.daemon.services import ReloadResult, Services
from mailbanned.daemon.status import status_document
from mailbanned.daemon.why import why
from mailbanned.documents import ban_document
from mailbanned.jails import MANUAL
from mailbanned.store import StoreError

# For how long a ban by hand waits to be in force before it is reported as not yet in force.
_IN_FORCE_WITHIN_S = 3.0
_MAX_REASON = 500  # characters
_MAX_BANTIME_S = 100 * 365 * 86400.0
_EVERY_ADDRESS: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def commands(
    services: Services, reload: Callable[[], Awaitable[ReloadResult]]
) -> dict[str, Command]:
    """Returns the commands of a daemon by name."""

    async def status(arguments: dict[str, Any]) -> Any:
        jail = arguments.get("jail")
        document = status_document(services, jail)
        if jail is not None and not document["jails"]:
            raise Refused(f"there is no jail {jail!r}; known are {_names(services)}")
        return document

    # What is done by hand is saved before the answer; and `why` reads what is saved.
    async def ban(arguments: dict[str, Any]) -> Any:
        done = await _ban(services, arguments)
        await services.writer.save()
        return done

    async def unban(arguments: dict[str, Any]) -> Any:
        done = _unban(services, arguments)
        await services.writer.save()
        return done

    async def why_(arguments: dict[str, Any]) -> Any:
        await services.writer.save()
        try:
            return await why(services, _network(arguments.get("address")))
        except StoreError as error:
            raise ControlError(str(error)) from None

    async def reload_(_: dict[str, Any]) -> Any:
        outcome = await reload()
        return {"version": 1, "ok": outcome.ok, "errors": outcome.errors}

    return {
        "status": Command(status, reads_only=True),
        "why": Command(why_, reads_only=True),
        "ban": Command(ban),
        "unban": Command(unban),
        "reload": Command(reload_),
    }


async def _ban(services: Services, arguments: dict[str, Any]) -> dict[str, Any]:
    jail = _jail(arguments) or MANUAL
    rules = services.engine.jails[jail].settings if jail in services.engine.jails else None
    if rules is None and jail != MANUAL:
        raise Refused(f"there is no jail {jail!r}; known are {_names(services)}")
    defaults = services.config.file.defaults
    bantime = rules.bantime if rules else defaults.bantime
    if "for" in arguments:
        bantime = _duration(arguments["for"])
    prefix = rules.ipv6_prefix if rules else defaults.ipv6_prefix
    networks = _networks(arguments, prefix)
    for network in networks:
        _require_bannable(services, network)
    now = services.clock.now()
    until = None if bantime is None else now + bantime
    reason = str(arguments.get("reason") or "by hand")[:_MAX_REASON]
    bans = [services.engine.ban(n, now, until, jail=jail, reason=reason) for n in networks]
    for ban in bans:
        services.pipeline.on_banned(ban)
    await _wait_in_force(services, [ban.subject for ban in bans])
    return {
        "version": 1,
        "banned": [
            ban_document(ban)
            | {"in_force": services.firewall.in_force_since(ban.subject) is not None}
            for ban in bans
        ],
    }


def _jail(arguments: dict[str, Any]) -> str | None:
    jail = arguments.get("jail")
    if jail is not None and not isinstance(jail, str):
        raise Refused(f"{jail!r} is no name of a jail; give a text")
    return jail


def _duration(given: Any) -> float | None:
    """Returns the duration of a ban (s); None is for ever."""
    if given is None:
        return None
    # Not a number that compares oddly (NaN), nor an end after which there are no dates.
    if (
        isinstance(given, bool)
        or not isinstance(given, int | float)
        or not 0 < given <= _MAX_BANTIME_S
    ):
        raise Refused(f"{given!r} is no duration; give more than nothing and at most a century")
    return float(given)


def _networks(arguments: dict[str, Any], ipv6_prefix: int = 128) -> list[Network]:
    addresses = arguments.get("addresses", [])
    if not isinstance(addresses, list):
        raise Refused("addresses is no list; give the addresses and networks as texts in one")
    return [_network(text, ipv6_prefix) for text in addresses]


def _network(text: Any, ipv6_prefix: int = 128) -> Network:
    """Parses a network; a single IPv6 address becomes its prefix."""
    try:
        network = unmap_ipv4_network(ip_network(str(text).strip(), strict=False))
    except ValueError:
        raise Refused(f"{text!r} is no address or network") from None
    if network.version == 6 and network.prefixlen == 128:
        return ip_network((network.network_address, ipv6_prefix), strict=False)
    return network


def _require_bannable(services: Services, network: Network) -> None:
    shortest = SHORTEST_PREFIX[network.version]
    if network.prefixlen < shortest:
        raise Refused(f"{network} is too wide a network to ban; /{shortest} is the widest")
    ignored = services.engine.ignored(network, services.config.file.defaults.ignore)
    if ignored is not None:
        remedy = "; change [defaults] ignore first if that is wrong"
        raise Refused(
            f"{display_subject(Subject(str(network)))} is on the ignore list ({ignored}) and is "
            f"never banned{'' if ignored in NEVER_BANNED else remedy}"
        )


async def _wait_in_force(services: Services, subjects: Iterable[Subject]) -> None:
    """Waits until the bans of the subjects are in force, at most for _IN_FORCE_WITHIN_S."""
    try:
        async with asyncio.timeout(_IN_FORCE_WITHIN_S):
            for subject in subjects:
                await services.firewall.wait_until_in_force(subject)
    except TimeoutError:
        pass


def _unban(services: Services, arguments: dict[str, Any]) -> dict[str, Any]:
    jail = _jail(arguments)
    if jail is not None and jail not in (MANUAL, *services.config.file.jails):
        raise Refused(f"there is no jail {jail!r}; known are {_names(services)}")
    networks = list(_EVERY_ADDRESS) if arguments.get("all") else _networks(arguments)
    unbans = services.engine.unban(
        services.engine.subjects_in(networks), services.clock.now(), jail
    )
    for unban in unbans:
        services.pipeline.on_unbanned(unban)
    return {
        "version": 1,
        "unbanned": [{"address": unban.subject, "jail": unban.jail} for unban in unbans],
    }


def _names(services: Services) -> str:
    return ", ".join(services.config.file.jails) or "none"

"""Bans through firewalld: one rich rule for each subject, in every zone that faces outward.

The rules are runtime rules without priority and without a lifetime of firewalld's own. Rules of
others are never touched. What firewalld forgets (reload, restart, change of zones) is announced by
`lost`; what it does not announce is found by asking `listed` from time to time.

Known limits: a rule cannot end a connection that is established, and ports published by containers
are reached before any zone. A leftover for a prefix other than /32, /64 or /128 from an earlier run
of the daemon is not known as ours and stays until firewalld reloads.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from mailbanned.address import Subject
from mailbanned.firewall import dbus
from mailbanned.firewall.base import FirewallDown, Listed
from mailbanned.firewall.dbus import Bus, BusError, Calls, Signal
from mailbanned.firewall.richrules import Rule, Verdict, is_marked, parse, render
from mailbanned.firewall.zones import choose, outward_interfaces
from mailbanned.log import get_logger

_log = get_logger("firewall")

_OWNER_CHANGED = "NameOwnerChanged"
# Signals after which rules may be gone, or belong elsewhere. Never more than these: firewalld
# sends hundreds of others in a burst.
_LOSSES = {
    (dbus.NAME, "Reloaded"): "firewalld reloaded its rules",
    (dbus.NAME, "DefaultZoneChanged"): "firewalld's default zone changed",
    (dbus.NAME, "PanicModeEnabled"): "firewalld's panic mode was switched on",
    (dbus.NAME, "PanicModeDisabled"): "firewalld's panic mode was switched off",
    (dbus.ZONE, "ZoneOfInterfaceChanged"): "the zone of an interface changed",
    (dbus.ZONE, "InterfaceAdded"): "an interface was added to a zone",
    (dbus.ZONE, "InterfaceRemoved"): "an interface was removed from a zone",
}
_PERMANENT_CHANGED = (dbus.CONFIG_ZONE, "Updated")

_WRECKED = (
    "firewalld lost all its zones in a failed reload, and the host refuses new connections: "
    "run systemctl restart firewalld"
)


class Firewalld:
    """The firewalld backend.

    zone: where rules go; "" finds out which zones face outward, at every `listed`.
    verdict: what happens to packets of a banned subject.
    bus_address: D-Bus address; None is the system bus.
    timeout: seconds that one call may take.
    interfaces: tells which interfaces hold a default route.
    """

    name = "firewalld"
    slots = 4  # more win nothing, since firewalld takes them one by one
    old_slots = 1

    def __init__(
        self,
        zone: str = "",
        verdict: Verdict = "drop",
        bus_address: str | None = None,
        timeout: float = 30.0,
        interfaces: Callable[[], set[str]] = outward_interfaces,
    ) -> None:
        self._wanted_zone = zone
        self._verdict: Verdict = verdict
        self._address = bus_address
        self._timeout = timeout
        self._interfaces = interfaces
        self._bus: Bus | None = None
        self._owner = ""  # unique bus name of firewalld
        self._zones: tuple[str, ...] = ()
        self._zones_known = False
        self._choosing = asyncio.Lock()
        self._strays: dict[Subject, list[tuple[str, Rule]]] = {}
        self._unmarked: set[Subject] = set()  # added by us, and not to be known by their text
        self._permanent_changed = True
        self._loss = ""
        self._lost = asyncio.Event()

    @property
    def zone(self) -> str:
        return ", ".join(self._zones) or self._wanted_zone

    async def connect(self) -> None:
        await self.close()
        bus = Bus(self._receive, self._lose, self._timeout)
        try:
            await bus.open(self._address)
        except BusError as error:
            raise FirewallDown(str(error)) from error
        self._bus = bus  # kept even if firewalld is not there, to hear it come
        self._permanent_changed = True
        firewalld = Calls(bus)
        await firewalld.subscribe(
            f"type='signal',sender='{dbus.DBUS}',member='{_OWNER_CHANGED}',arg0='{dbus.NAME}'"
        )
        for interface, member in (*_LOSSES, _PERMANENT_CHANGED):
            await firewalld.subscribe(
                f"type='signal',sender='{dbus.NAME}',interface='{interface}',member='{member}'"
            )
        self._owner = await firewalld.owner()

    async def listed(self) -> Listed:
        firewalld = self._calls()
        if await firewalld.in_panic():
            raise FirewallDown("firewalld is in panic mode: all packets are dropped")
        async with self._choosing:
            searched = await self._choose_zones(firewalld)
        found: dict[Subject, set[tuple[str, Rule]]] = defaultdict(set)
        for zone in searched:
            for text in await firewalld.rules(zone):
                if rule := self._ours(text):
                    found[rule.subject].add((zone, rule))
        whole = {subject for subject, places in found.items() if places == self._places(subject)}
        partial = found.keys() - whole
        self._strays = {
            subject: list(found[subject] - self._places(subject)) for subject in partial
        }
        await self._clean_permanent(firewalld)
        return Listed(whole, partial)

    async def add(self, subject: Subject, until: float | None = None) -> None:
        if not is_marked(subject):
            self._unmarked.add(subject)
        firewalld = self._calls()
        await self._know_zones(firewalld)
        for zone, rule in self._places(subject):
            await firewalld.add_rule(zone, render(rule))
        await self._remove_strays(firewalld, subject)

    async def remove(self, subject: Subject) -> None:
        firewalld = self._calls()
        await self._know_zones(firewalld)
        for zone, rule in self._places(subject):
            await firewalld.remove_rule(zone, render(rule))
        await self._remove_strays(firewalld, subject)
        self._unmarked.discard(subject)

    async def lost(self) -> str:
        await self._lost.wait()
        self._lost.clear()
        return self._loss

    async def close(self) -> None:
        bus, self._bus = self._bus, None
        self._owner = ""
        if bus is not None:
            await bus.close()

    def _calls(self) -> Calls:
        if self._bus is None:
            raise FirewallDown("not connected to the system bus")
        return Calls(self._bus)

    def _places(self, subject: Subject) -> set[tuple[str, Rule]]:
        """Where which rules must be for the subject to be banned."""
        return {(zone, Rule(subject, self._verdict)) for zone in self._zones}

    def _ours(self, text: str) -> Rule | None:
        rule = parse(text)
        if rule and (is_marked(rule.subject) or rule.subject in self._unmarked):
            return rule
        return None

    async def _know_zones(self, firewalld: Calls) -> None:
        async with self._choosing:
            if not self._zones_known:
                await self._choose_zones(firewalld)

    async def _choose_zones(self, firewalld: Calls) -> list[str]:
        """Decides where rules go. Returns all zones in which rules of ours could do something."""
        self._zones_known = True  # a signal that comes while we ask takes this back
        try:
            default = await firewalld.default_zone()
            active = await firewalld.active_zones()
            outward = await asyncio.to_thread(self._interfaces)
            if not active and not await firewalld.zones():
                raise FirewallDown(_WRECKED)
            self._zones = choose(self._wanted_zone, default, active, outward)
        except BaseException:
            self._zones_known = False
            raise
        return sorted({default, *active, *self._zones})

    async def _remove_strays(self, firewalld: Calls, subject: Subject) -> None:
        for zone, rule in self._strays.get(subject, ()):
            await firewalld.remove_rule(zone, render(rule))
        self._strays.pop(subject, None)

    async def _clean_permanent(self, firewalld: Calls) -> None:
        """Takes our rules out of the permanent configuration, where they would never end.

        They get there when somebody calls `firewall-cmd --runtime-to-permanent`.
        """
        if not self._permanent_changed:
            return
        self._permanent_changed = False
        for zone in self._zones:
            with suppress(FirewallDown):  # bans work all the same; the next change tries again
                path = await firewalld.permanent_zone(zone)
                rules = await firewalld.permanent_rules(path)
                others = [text for text in rules if not self._ours(text)]
                if len(others) < len(rules):
                    await firewalld.set_permanent_rules(path, others)
                    count = len(rules) - len(others)
                    _log.warning("Took bans out of the permanent rules", zone=zone, rules=count)

    def _receive(self, signal: Signal) -> None:
        if signal.sender == dbus.DBUS and signal.member == _OWNER_CHANGED:
            _, _, self._owner = signal.body
            self._lose("firewalld started" if self._owner else "firewalld stopped")
        elif signal.sender != self._owner:
            return  # sent to us alone by somebody else
        elif (signal.interface, signal.member) == _PERMANENT_CHANGED:
            self._permanent_changed = True
        elif reason := _LOSSES.get((signal.interface, signal.member)):
            self._lose(reason)

    def _lose(self, reason: str) -> None:
        self._zones_known = False
        self._loss = reason
        self._lost.set()

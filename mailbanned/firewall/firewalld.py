"""Bans through firewalld: one rich rule for each subject, in every zone that faces outward.

The rules are runtime rules without priority and without a lifetime of firewalld's own. Rules of
others are never touched. Signals of firewalld that may mean a loss (reload, restart, change of
zones) end `wait_until_lost`; losses without a signal are found by `list_bans`.

Known limits: a rule cannot end an established connection, and packets for ports published by
containers pass no zone. A rule for a prefix other than /32, /64 or /128 that an earlier run of the
daemon left is not recognised as ours, and stays until firewalld reloads.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from mailbanned.address import Subject
from mailbanned.firewall import dbus
from mailbanned.firewall.base import FirewallDown, Listed
from mailbanned.firewall.dbus import BusError, FirewalldApi, Signal, SystemBus
from mailbanned.firewall.richrules import RichRule, Verdict, is_recognisable, parse, render
from mailbanned.firewall.zones import choose_zones, outward_interfaces
from mailbanned.log import get_logger

_log = get_logger("firewall")

_OWNER_CHANGED = "NameOwnerChanged"
# Signals after which rules may be gone, or belong elsewhere. We subscribe to no others: firewalld
# sends hundreds of them in a burst.
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

    zone: where rules go; "" finds out which zones face outward, at every `list_bans`.
    verdict: what happens to packets of a banned subject.
    bus_address: D-Bus address; None is the system bus.
    timeout: seconds that one call may take.
    interfaces: returns the interfaces with a default route.
    """

    name = "firewalld"
    max_parallel = 4  # more gain nothing, since firewalld takes them one by one
    max_parallel_restores = 1

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
        self._bus: SystemBus | None = None
        self._owner = ""  # unique bus name of firewalld
        self._zones: tuple[str, ...] = ()
        self._zones_known = False
        self._choosing = asyncio.Lock()
        self._strays: dict[Subject, list[tuple[str, RichRule]]] = {}
        self._unmarked: set[Subject] = set()  # added by us, not recognisable by their text
        self._permanent_changed = True
        self._loss = ""
        self._lost = asyncio.Event()

    @property
    def zone(self) -> str:
        return ", ".join(self._zones) or self._wanted_zone

    async def connect(self) -> None:
        await self.close()
        bus = SystemBus(self._receive, self._on_loss, self._timeout)
        try:
            await bus.open(self._address)
        except BusError as error:
            raise FirewallDown(str(error)) from error
        self._bus = bus  # kept even if firewalld is not there, to receive the signal of its start
        self._permanent_changed = True
        firewalld = FirewalldApi(bus)
        await firewalld.subscribe(
            f"type='signal',sender='{dbus.DBUS}',member='{_OWNER_CHANGED}',arg0='{dbus.NAME}'"
        )
        for interface, member in (*_LOSSES, _PERMANENT_CHANGED):
            await firewalld.subscribe(
                f"type='signal',sender='{dbus.NAME}',interface='{interface}',member='{member}'"
            )
        self._owner = await firewalld.owner()

    async def list_bans(self) -> Listed:
        firewalld = self._api()
        if await firewalld.in_panic():
            raise FirewallDown("firewalld is in panic mode: all packets are dropped")
        async with self._choosing:
            searched = await self._choose_zones(firewalld)
        rules: dict[Subject, set[tuple[str, RichRule]]] = defaultdict(set)
        for zone in searched:
            for text in await firewalld.rules(zone):
                if rule := self._ours(text):
                    rules[rule.subject].add((zone, rule))
        complete = {s for s, present in rules.items() if present == self._rules_for(s)}
        partial = rules.keys() - complete
        self._strays = {
            subject: list(rules[subject] - self._rules_for(subject)) for subject in partial
        }
        await self._clean_permanent(firewalld)
        return Listed(complete, partial)

    async def add(self, subject: Subject, until: float | None = None) -> None:
        if not is_recognisable(subject):
            self._unmarked.add(subject)
        firewalld = self._api()
        await self._ensure_zones(firewalld)
        for zone, rule in self._rules_for(subject):
            await firewalld.add_rule(zone, render(rule))
        await self._remove_strays(firewalld, subject)

    async def remove(self, subject: Subject) -> None:
        firewalld = self._api()
        await self._ensure_zones(firewalld)
        for zone, rule in self._rules_for(subject):
            await firewalld.remove_rule(zone, render(rule))
        await self._remove_strays(firewalld, subject)
        self._unmarked.discard(subject)

    async def wait_until_lost(self) -> str:
        await self._lost.wait()
        self._lost.clear()
        return self._loss

    async def close(self) -> None:
        bus, self._bus = self._bus, None
        self._owner = ""
        if bus is not None:
            await bus.close()

    def _api(self) -> FirewalldApi:
        if self._bus is None:
            raise FirewallDown("not connected to the system bus")
        return FirewalldApi(self._bus)

    def _rules_for(self, subject: Subject) -> set[tuple[str, RichRule]]:
        """Returns the rules, each with its zone, that ban the subject."""
        return {(zone, RichRule(subject, self._verdict)) for zone in self._zones}

    def _ours(self, text: str) -> RichRule | None:
        rule = parse(text)
        if rule and (is_recognisable(rule.subject) or rule.subject in self._unmarked):
            return rule
        return None

    async def _ensure_zones(self, firewalld: FirewalldApi) -> None:
        async with self._choosing:
            if not self._zones_known:
                await self._choose_zones(firewalld)

    async def _choose_zones(self, firewalld: FirewalldApi) -> list[str]:
        """Decides where rules go. Returns all zones in which rules of ours could have an effect."""
        self._zones_known = True  # a signal that comes meanwhile resets this
        try:
            default = await firewalld.default_zone()
            active = await firewalld.active_zones()
            outward = await asyncio.to_thread(self._interfaces)
            if not active and not await firewalld.zones():
                raise FirewallDown(_WRECKED)
            self._zones = choose_zones(self._wanted_zone, default, active, outward)
        except BaseException:
            self._zones_known = False
            raise
        return sorted({default, *active, *self._zones})

    async def _remove_strays(self, firewalld: FirewalldApi, subject: Subject) -> None:
        for zone, rule in self._strays.get(subject, ()):
            await firewalld.remove_rule(zone, render(rule))
        self._strays.pop(subject, None)

    async def _clean_permanent(self, firewalld: FirewalldApi) -> None:
        """Removes our rules from the permanent configuration, where they would never end.

        They get there by `firewall-cmd --runtime-to-permanent`.
        """
        if not self._permanent_changed:
            return
        self._permanent_changed = False
        for zone in self._zones:
            with suppress(
                FirewallDown
            ):  # bans work all the same; the next change of the zone retries
                path = await firewalld.permanent_zone(zone)
                rules = await firewalld.permanent_rules(path)
                others = [text for text in rules if not self._ours(text)]
                if len(others) < len(rules):
                    await firewalld.set_permanent_rules(path, others)
                    count = len(rules) - len(others)
                    _log.warning("bans removed from the permanent rules", zone=zone, rules=count)

    def _receive(self, signal: Signal) -> None:
        if signal.sender == dbus.DBUS and signal.member == _OWNER_CHANGED:
            _, _, self._owner = signal.body
            self._on_loss("firewalld started" if self._owner else "firewalld stopped")
        elif signal.sender != self._owner:
            return  # sent to us alone by another client of the bus
        elif (signal.interface, signal.member) == _PERMANENT_CHANGED:
            self._permanent_changed = True
        elif reason := _LOSSES.get((signal.interface, signal.member)):
            self._on_loss(reason)

    def _on_loss(self, reason: str) -> None:
        self._zones_known = False
        self._loss = reason
        self._lost.set()

"""Firewalld over a scripted bus: what each error means, and which signals are believed.

What a real firewalld does is tested in tests/real.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailbanned.address import Subject
from mailbanned.firewall import Firewalld, FirewallDown, FirewallRefused
from tests.firewall.fakebus import FakeBus, error, listening, silence, values

pytestmark = pytest.mark.usefixtures("skipping")
FIREWALLD = "org.fedoraproject.FirewallD1"
ZONE = f"{FIREWALLD}.zone"
HOST = Subject("192.0.2.7/32")
RULE = 'rule family="ipv4" source address="192.0.2.7/32" drop'


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[FakeBus]:
    """A bus with a firewalld on it (:1.5) whose zone `public` faces outward."""
    async with listening(tmp_path / "bus") as bus:
        bus.answers["GetNameOwner"] = values("s", ":1.5")
        bus.answers["queryPanicMode"] = values("b", False)
        bus.answers["getDefaultZone"] = values("s", "public")
        bus.answers["getActiveZones"] = values("a{sa{sas}}", {"public": {"interfaces": ["eth0"]}})
        bus.answers["getZones"] = values("as", ["public"])
        bus.answers["getRichRules"] = values("as", [])
        bus.answers["getZoneByName"] = values("o", "/zone/1")
        yield bus


@asynccontextmanager
async def connected(bus: FakeBus) -> AsyncIterator[Firewalld]:
    firewall = Firewalld(bus_address=bus.address, timeout=5.0, interfaces=lambda: {"eth0"})
    await firewall.connect()
    try:
        yield firewall
    finally:
        await firewall.close()


def code(text: str) -> tuple[str, str]:
    """An error of firewalld's own."""
    return f"{FIREWALLD}.Exception", text


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (*code("PANIC_MODE"), "panic mode"),
        (*code("INVALID_ZONE: public"), "does not know the zone"),
        (*code("COMMAND_FAILED: nft said no"), "COMMAND_FAILED: nft said no"),
        (*code("some exception without a code"), "some exception without a code"),
        (f"{FIREWALLD}.NotAuthorizedException", "Not Authorized(polkit)", "polkit rule"),
        ("org.freedesktop.DBus.Error.ServiceUnknown", "The name ...", "is not running"),
        ("org.freedesktop.DBus.Error.NoReply", "Message recipient ...", "ended before"),
        ("org.freedesktop.DBus.Error.AccessDenied", "Rejected", "Rejected"),
        ("org.freedesktop.DBus.Error.AccessDenied", "ALREADY_ENABLED", "ALREADY_ENABLED"),
    ],
)
async def test_what_may_work_later_is_down(bus: FakeBus, name: str, text: str, words: str) -> None:
    """An error that may pass is FirewallDown, with a sentence that says what to do if possible."""
    bus.answers["addRichRule"] = bus.answers["removeRichRule"] = error(name, text)
    async with connected(bus) as firewall:
        for change in (firewall.add, firewall.remove):
            with pytest.raises(FirewallDown) as caught:
                await change(HOST)
            assert words in str(caught.value)


@pytest.mark.parametrize(
    "name", ["INVALID_RULE", "INVALID_ADDR", "INVALID_FAMILY", "MISSING_FAMILY"]
)
async def test_what_never_works_is_refused(bus: FakeBus, name: str) -> None:
    """A rule that firewalld cannot understand is not worth another try."""
    bus.answers["addRichRule"] = error(*code(f"{name}: bad"))
    async with connected(bus) as firewall:
        with pytest.raises(FirewallRefused, match=name):
            await firewall.add(HOST)


async def test_silence_and_a_broken_connection_are_down(bus: FakeBus) -> None:
    """No answer in time, and no connection any more, are reasons to try again later."""
    bus.answers["addRichRule"] = silence
    async with connected(bus) as firewall:
        with pytest.raises(FirewallDown, match="did not answer addRichRule"):
            await firewall.add(HOST)
        bus.hang_up()
        assert "closed the connection" in await firewall.wait_until_lost()
        with pytest.raises(FirewallDown, match="is gone"):
            await firewall.add(HOST)
    with pytest.raises(FirewallDown, match="not connected"):
        await firewall.list_bans()


async def test_rules_carry_no_lifetime_and_name_their_zone(bus: FakeBus) -> None:
    """The end of a ban is never left to firewalld, whose reload crashes on pending lifetimes."""
    async with connected(bus) as firewall:
        await firewall.add(HOST)
        await firewall.remove(HOST)
    assert [call for call in bus.calls if "RichRule" in call[0]] == [
        ("addRichRule", ["public", RULE, 0]),
        ("removeRichRule", ["public", RULE]),
    ]


async def test_listens_narrowly(bus: FakeBus) -> None:
    """Only signals that may mean a loss are asked for, each by its name and from firewalld."""
    async with connected(bus):
        pass
    matches = [body[0] for member, body in bus.calls if member == "AddMatch"]
    assert all("member='" in match and "sender='" in match for match in matches)
    assert not [match for match in matches if "RichRule" in match or "Entry" in match]


async def _is_lost(firewall: Firewalld) -> str:
    async with asyncio.timeout(1):
        return await firewall.wait_until_lost()


@pytest.mark.parametrize(
    ("interface", "member", "words"),
    [
        (FIREWALLD, "Reloaded", "reloaded"),
        (FIREWALLD, "DefaultZoneChanged", "default zone"),
        (FIREWALLD, "PanicModeEnabled", "panic mode"),
        (FIREWALLD, "PanicModeDisabled", "panic mode"),
        (ZONE, "ZoneOfInterfaceChanged", "zone of an interface"),
        (ZONE, "InterfaceAdded", "interface was added"),
        (ZONE, "InterfaceRemoved", "interface was removed"),
    ],
)
async def test_signals_that_mean_a_loss(
    bus: FakeBus, interface: str, member: str, words: str
) -> None:
    """After each of these, rules may be gone or in the wrong place."""
    async with connected(bus) as firewall:
        bus.signal(":1.5", interface, member)
        assert words in await _is_lost(firewall)


async def test_the_coming_and_going_of_firewalld_is_a_loss(bus: FakeBus) -> None:
    """The bus itself tells when firewalld ends and starts; the new one is then believed."""
    async with connected(bus) as firewall:
        owner = ("org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged", FIREWALLD)
        bus.signal(*owner, ":1.5", "")
        assert await _is_lost(firewall) == "firewalld stopped"
        bus.signal(*owner, "", ":1.8")
        assert await _is_lost(firewall) == "firewalld started"
        bus.signal(":1.8", FIREWALLD, "Reloaded")
        assert "reloaded" in await _is_lost(firewall)


async def test_signals_of_others_are_not_believed(bus: FakeBus) -> None:
    """A local user can send us any signal; only firewalld's own and the bus's count."""
    async with connected(bus) as firewall:
        bus.signal(":1.66", FIREWALLD, "Reloaded")
        bus.signal(":1.66", "org.freedesktop.DBus", "NameOwnerChanged", FIREWALLD, "", ":1.66")
        bus.signal(":1.66", FIREWALLD, "Reloaded")
        bus.signal(":1.5", FIREWALLD, "LogDeniedChanged")
        with pytest.raises(TimeoutError):
            await _is_lost(firewall)


async def test_a_firewalld_that_is_not_there_is_waited_for(bus: FakeBus) -> None:
    """Connecting fails without a firewalld, but its start is heard all the same."""
    bus.answers["GetNameOwner"] = error("org.freedesktop.DBus.Error.NameHasNoOwner", "no owner")
    firewall = Firewalld(bus_address=bus.address)
    with pytest.raises(FirewallDown, match="firewalld is not running"):
        await firewall.connect()
    dbus = "org.freedesktop.DBus"
    bus.signal(dbus, dbus, "NameOwnerChanged", FIREWALLD, "", ":1.5")
    assert await _is_lost(firewall) == "firewalld started"
    await firewall.close()


async def test_panic_mode_is_down(bus: FakeBus) -> None:
    """While all packets are dropped, nothing is said to be banned by us."""
    bus.answers["queryPanicMode"] = values("b", True)
    async with connected(bus) as firewall:
        with pytest.raises(FirewallDown, match="panic mode"):
            await firewall.list_bans()


async def test_a_wrecked_firewalld_is_named(bus: FakeBus) -> None:
    """After a crashed reload firewalld has no zones and the host is cut off: people must know."""
    bus.answers["getActiveZones"] = values("a{sa{sas}}", {})
    bus.answers["getZones"] = values("as", [])
    async with connected(bus) as firewall:
        with pytest.raises(FirewallDown, match="systemctl restart firewalld"):
            await firewall.list_bans()
        bus.answers["getZones"] = values("as", ["public"])
        assert (await firewall.list_bans()).complete == set()
        assert firewall.zone == "public"


async def test_a_ban_right_after_a_change_of_zones_goes_to_the_new_zone(bus: FakeBus) -> None:
    """A new ban does not wait for a listing of the rules to find its zone."""
    async with connected(bus) as firewall:
        await firewall.add(HOST)
        bus.answers["getActiveZones"] = values("a{sa{sas}}", {"external": {"interfaces": ["eth0"]}})
        bus.signal(":1.5", ZONE, "ZoneOfInterfaceChanged", "external", "eth0")
        await _is_lost(firewall)
        await firewall.add(HOST)
    zones = [body[0] for member, body in bus.calls if member == "addRichRule"]
    assert zones == ["public", "external"]

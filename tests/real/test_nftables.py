"""The nftables backend with real packets: what the kernel makes of its table."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from mailbanned.address import Subject
from mailbanned.firewall import Firewall, Listed, Nftables
from tests.firewall.contract import FirewallContract
from tests.real.lab import ATTACKERS4, ATTACKERS6, HOST4, HOST6, NEIGHBOURS6, Lab
from tests.real.netns import Namespace, run
from tests.real.tables import connected, held
from tests.waiting import HANG_S

pytestmark = pytest.mark.real

HOST = Subject(f"{ATTACKERS4[0]}/32")
NETWORK = Subject("198.51.100.0/27")
PREFIX = Subject("2001:db8:0:2::/64")
PORT = 2600


@pytest.fixture
async def firewall(lab: Lab) -> AsyncIterator[Nftables]:
    async with connected(lab) as firewall:
        yield firewall


class TestNftables(FirewallContract):
    """Nftables keeps the contract of all backends."""

    @pytest.fixture
    async def firewall(self, firewall: Nftables) -> Firewall:
        return firewall


@pytest.mark.parametrize(
    ("subject", "banned", "free"),
    [
        (HOST, ATTACKERS4[0], ATTACKERS4[1]),
        (NETWORK, ATTACKERS4[20], ATTACKERS4[22]),
        (Subject(f"{ATTACKERS6[0]}/128"), ATTACKERS6[0], ATTACKERS6[1]),
        (Subject("2001:db8:0:1::20/123"), "2001:db8:0:1::2f", "2001:db8:0:1::1f"),
        (PREFIX, NEIGHBOURS6[7], ATTACKERS6[0]),
    ],
)
async def test_packets_of_a_banned_subject_are_dropped(
    lab: Lab, firewall: Nftables, subject: Subject, banned: str, free: str
) -> None:
    """While the ban is there the subject's packets vanish, and nobody else's."""
    with lab.listen(PORT, socket.AF_INET6):
        lab.connect(banned, PORT).close()
        await firewall.add(subject)
        assert held(lab) == {subject}
        assert lab.drops(banned, PORT)
        lab.connect(free, PORT).close()
        await firewall.remove(subject)
        assert held(lab) == set()
        lab.connect(banned, PORT).close()


@pytest.mark.parametrize("source", [ATTACKERS4[0], NEIGHBOURS6[0]])
async def test_an_established_connection_stops(lab: Lab, firewall: Nftables, source: str) -> None:
    """Nothing that is sent after the ban arrives, though the connection was there before."""
    with (
        lab.listen(PORT, socket.AF_INET6) as listener,
        lab.connect(source, PORT) as peer, lab.accept(listener) as served,
    ):  # fmt: skip
        peer.sendall(b"before")
        assert served.recv(10) == b"before"
        await firewall.add(PREFIX if ":" in source else HOST)
        peer.sendall(b"after")
        lab.overtake()
        served.setblocking(False)
        with pytest.raises(BlockingIOError):
            served.recv(10)


@pytest.mark.parametrize("source", [ATTACKERS4[0], NEIGHBOURS6[0]])
async def test_reject_answers_the_banned(lab: Lab, source: str) -> None:
    """With the verdict "reject" a new connection is refused, and an established one is reset."""
    async with connected(lab, "reject") as firewall:
        with (
            lab.listen(PORT, socket.AF_INET6) as listener,
            lab.connect(source, PORT) as peer, lab.accept(listener),
        ):  # fmt: skip
            await firewall.add(PREFIX if ":" in source else HOST)
            with pytest.raises(ConnectionRefusedError):
                lab.connect(source, PORT)
            peer.sendall(b"?")
            with pytest.raises(ConnectionResetError):
                peer.recv(1)
            with _datagrams(lab, source) as datagrams:
                datagrams.send(b"?")
                with pytest.raises(ConnectionRefusedError):
                    datagrams.recv(1)


def _datagrams(lab: Lab, source: str) -> socket.socket:
    """A UDP socket of an attacker that sends to the host."""
    version6 = ":" in source
    made = lab.attacker.socket(socket.AF_INET6 if version6 else socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(HANG_S)
    made.bind((source, 0))
    made.connect((HOST6 if version6 else HOST4, PORT))
    return made


@pytest.fixture
def container(lab: Lab) -> Iterator[Namespace]:
    """A container behind the host, whose port 25 is published as PORT of the host."""
    inside = Namespace(f"{lab.host.name}c")
    run("ip", "netns", "add", inside.name)
    try:
        link = f"ip link add ctr0 netns {lab.host.name} type veth peer eth0 netns {inside.name}"
        run(*link.split())
        lab.host.exec("ip", "address", "add", "192.0.2.1/24", "dev", "ctr0")
        lab.host.exec("ip", "link", "set", "ctr0", "up")
        lab.host.exec("sysctl", "-qw", "net.ipv4.ip_forward=1")
        inside.exec("ip", "address", "add", "192.0.2.2/24", "dev", "eth0")
        inside.exec("ip", "link", "set", "eth0", "up")
        inside.exec("ip", "route", "add", "default", "via", "192.0.2.1")
        lab.host.exec(
            "nft", "-f", "-",
            stdin="add table ip published\n"
            "add chain ip published before { type nat hook prerouting priority dstnat; }\n"
            f"add rule ip published before tcp dport {PORT} dnat to 192.0.2.2:25\n",
        )  # fmt: skip
        yield inside
    finally:
        lab.host.exec("nft", "delete", "table", "ip", "published", check=False)
        lab.host.exec("sysctl", "-qw", "net.ipv4.ip_forward=0")
        run("ip", "netns", "del", inside.name)


async def test_ports_of_containers_are_closed_to_the_banned(
    lab: Lab, firewall: Nftables, container: Namespace
) -> None:
    """A published port, which no zone of firewalld guards, is out of reach, old or new."""
    with ExitStack() as undo:
        listener = undo.enter_context(container.socket())
        listener.bind(("", 25))
        listener.listen()
        peer = undo.enter_context(lab.connect(ATTACKERS4[0], PORT))
        served = undo.enter_context(lab.accept(listener))
        await firewall.add(HOST)
        assert lab.drops(ATTACKERS4[0], PORT)
        peer.sendall(b"after")
        lab.connect(ATTACKERS4[1], PORT).close()
        served.setblocking(False)
        with pytest.raises(BlockingIOError):
            served.recv(10)


async def test_overlapping_bans_are_independent(lab: Lab, firewall: Nftables) -> None:
    """A host within a banned network within another: each comes and goes by itself."""
    bans = {HOST, NETWORK, Subject("198.51.0.0/16"), Subject("198.51.100.0/24")}
    await asyncio.gather(*(firewall.add(subject) for subject in bans))
    assert await firewall.list_bans() == Listed(bans)
    with lab.listen(PORT):
        for subject in (Subject("198.51.100.0/24"), Subject("198.51.0.0/16"), NETWORK):
            assert lab.drops(ATTACKERS4[0], PORT)
            await firewall.remove(subject)
            bans.remove(subject)
            assert await firewall.list_bans() == Listed(bans)
        assert lab.drops(ATTACKERS4[0], PORT)
        lab.connect(ATTACKERS4[1], PORT).close()
        await firewall.remove(HOST)
        lab.connect(ATTACKERS4[0], PORT).close()


async def test_traffic_of_the_host_with_itself_goes_on(lab: Lab, firewall: Nftables) -> None:
    """A ban that holds the host's own address keeps nobody on the host from it."""
    await firewall.add(Subject("198.51.100.0/24"))
    with lab.listen(PORT):
        peer = lab.host.socket()
        with peer:
            peer.settimeout(HANG_S)
            await asyncio.to_thread(peer.connect, (HOST4, PORT))

"""Sessions with a real kernel: the connections of the banned end, all others go on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mailbanned.address import Subject
from mailbanned.firewall import Sessions
from tests.real.lab import ATTACKERS4, ATTACKERS6, NEIGHBOURS6, Lab

pytestmark = pytest.mark.real

PORT = 2501
HOST = Subject(f"{ATTACKERS4[0]}/32")


class Line:
    """An open connection from an attacker to the host."""

    def __init__(self, lab: Lab, listener: socket.socket, source: str) -> None:
        self.attacker = lab.connect(source, listener.getsockname()[1])
        self.host = lab.accept(listener)

    def is_open(self) -> bool:
        """Whether the attacker's bytes still arrive."""
        try:
            self.attacker.sendall(b"?")
            return self.host.recv(1) == b"?"
        except OSError:
            return False

    def close(self) -> None:
        self.attacker.close()
        self.host.close()


@pytest.fixture
def ss_on_host(lab: Lab, tmp_path: Path) -> str:
    """`ss` as it works for a daemon on the lab's host."""
    return _program(tmp_path, f"ip netns exec {lab.host.name} ss")


def _program(directory: Path, command: str) -> str:
    path = directory / "ss"
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def lines(lab: Lab) -> Iterator[dict[str, Line]]:
    """Open connections by their attackers' addresses; "mapped": IPv4 to an IPv6 listener."""
    with ExitStack() as undo:
        dual = undo.enter_context(lab.listen(PORT, socket.AF_INET6))
        plain = undo.enter_context(lab.listen(PORT + 1))
        sources = {one: one for one in (*ATTACKERS4[:3], *ATTACKERS6[:2], *NEIGHBOURS6[:2])}
        lines: dict[str, Line] = {}
        for name, source in (sources | {"mapped": ATTACKERS4[0]}).items():
            lines[name] = Line(lab, plain if "." in name else dual, source)
            undo.callback(lines[name].close)
        yield lines


def _open(lines: dict[str, Line]) -> set[str]:
    return {name for name, line in lines.items() if line.is_open()}


@pytest.mark.parametrize(
    ("subjects", "ended"),
    [
        ([HOST], {ATTACKERS4[0], "mapped"}),
        ([f"{ATTACKERS6[0]}/128"], {ATTACKERS6[0]}),
        (["2001:db8:0:2::/64"], set(NEIGHBOURS6[:2])),
        (
            [HOST, f"{ATTACKERS4[1]}/32", "2001:db8:0:1::/64"],
            {*ATTACKERS4[:2], *ATTACKERS6[:2], "mapped"},
        ),
        (["203.0.113.9/32"], set()),
    ],
)
async def test_cuts_exactly_the_connections_of_the_subjects(
    ss_on_host: str, lines: dict[str, Line], subjects: list[Subject], ended: set[str]
) -> None:
    """IPv4, IPv6, prefixes, and IPv4 on a dual-stack listener end; unrelated connections live."""
    sessions = Sessions(ss_on_host)
    assert _open(lines) == set(lines)
    await sessions.cut(subjects)
    for name in ended:
        with pytest.raises(ConnectionResetError):
            lines[name].attacker.recv(1)
    assert _open(lines) == set(lines) - ended
    assert sessions.state() == "ready"


async def test_a_wave_is_cut_in_one_go(ss_on_host: str, lines: dict[str, Line]) -> None:
    """The kernel takes a filter with as many subjects as one call may carry."""
    wave = [Subject(f"203.0.{n // 250}.{n % 250}/32") for n in range(300)]
    wave += [Subject(f"2001:db8:1:{n:x}::/64") for n in range(1, 200)]
    await Sessions(ss_on_host).cut([*wave, HOST])
    assert set(lines) - _open(lines) == {ATTACKERS4[0], "mapped"}


async def test_without_the_capability_nothing_is_cut_and_it_is_said(
    lab: Lab, tmp_path: Path, lines: dict[str, Line]
) -> None:
    """A daemon that may not cut says what it needs."""
    unable = f"ip netns exec {lab.host.name} setpriv --bounding-set=-net_admin ss"
    sessions = Sessions(_program(tmp_path, unable))
    await sessions.cut([HOST])
    assert _open(lines) == set(lines)
    assert sessions.state() == "unable: it needs the capability CAP_NET_ADMIN"

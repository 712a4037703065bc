"""mailbanned beside fail2ban and sshguard: reaction, a wave, an open session, a reload, memory.

All see the same lines, and each has a firewalld of its own that is just like the others'.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from dataclasses import dataclass, field

from tests.bench.bare import add_rules
from tests.bench.host import KernelRules
from tests.bench.plot import Curve, wave_plot
from tests.bench.programs import ALL, Program
from tests.bench.table import Matrix, median
from tests.real.lab import ATTACKERS4, Lab
from tests.running import stamp

_SINGLES = 15
_WAVE = 100
_WAIT_S = 120.0
# So long is watched whether a session goes on, and whether bans come back.
_SESSION_S = 5.0
_BACK_S = 20.0
_PORT = 22


@dataclass
class Course:
    """How one program did. Times in seconds.

    singles: from the deciding line to the kernel, one address at a time. wave: the same for each of
    100 addresses written at once. session: until an open session ended, None if it went on.
    back: until all bans were back after a reload of firewalld, None if some were not.
    memory: MB after the wave.
    """

    singles: list[float] = field(default_factory=list)
    wave: list[float] = field(default_factory=list)
    session: float | None = None
    back: float | None = None
    memory: float = 0.0


def run() -> list[Matrix]:
    """Every program that is installed, and the floor."""
    courses = {cls.name: _course(cls) for cls in ALL if not cls.missing()}
    bare = _bare()
    curves = [Curve(name, one.wave) for name, one in courses.items()]
    wave_plot([*curves, Curve("bare D-Bus calls", bare)], _WAVE)
    ours = next(iter(courses.values()))
    rows: list[tuple[str, ...]] = [
        (
            name,
            f"{median(one.singles) * 1000:.0f} ms",
            f"{median(one.singles) / median(ours.singles):.2f}",
            f"{max(one.wave):.2f} s",
            f"{max(one.wave) / max(ours.wave):.2f}",
            "goes on" if one.session is None else f"cut after {one.session * 1000:.0f} ms",
            "never" if one.back is None else f"{one.back:.1f} s",
            f"{one.memory:.0f} MB",
        )
        for name, one in courses.items()
    ]
    floor = f"{max(bare):.2f} s", f"{max(bare) / max(ours.wave):.2f}"
    rows.append(("bare D-Bus calls, the floor", "", "", *floor, "", "", ""))
    rows += [(cls.name, cls.missing(), *[""] * 6) for cls in ALL if cls.missing()]
    head = (
        "", "one address", "x ours", f"wave of {_WAVE}, last", "x ours", "an open session",
        "all back after a reload", "memory",
    )  # fmt: skip
    return [Matrix(head, rows)]


def _course(cls: type[Program]) -> Course:
    course = Course()
    with Lab() as lab, cls(lab) as program:
        with closing(KernelRules(lab)) as kernel:
            for number in range(_SINGLES):
                course.singles += _ban(program, kernel, [f"198.18.0.{number + 1}"])
                time.sleep(0.1 + number * 0.037)  # in step with nothing
            course.wave = _ban(program, kernel, [f"198.18.1.{n + 1}" for n in range(_WAVE)])
        course.memory = program.memory()
        course.session = _session(program)
        course.back = _back(program)
    return course


def _lines(address: str) -> str:
    """Three wrong passwords."""
    line = f"{stamp()} mx sshd[4714]: Failed password for root from {address} port 50122 ssh2\n"
    return line * 3


def _write(program: Program, addresses: list[str]) -> float:
    """Writes the lines of them all at once; returns when (monotonic)."""
    data = "".join(_lines(address) for address in addresses).encode()
    with program.log.open("ab", buffering=0) as log:
        now = time.monotonic()
        log.write(data)
    return now


def _ban(program: Program, kernel: KernelRules, addresses: list[str]) -> list[float]:
    """How long each of them took to get into the kernel."""
    written = _write(program, addresses)
    return sorted(at - written for at in kernel.wait_for(addresses, _WAIT_S).values())


def _session(program: Program) -> float | None:
    """How long an attacker who is connected is still heard after the deciding line."""
    lab, attacker = program.lab, ATTACKERS4[0]
    with closing(lab.listen(_PORT)) as listener, closing(lab.connect(attacker, _PORT)) as peer:
        heard, _ = listener.accept()
        with closing(heard):
            heard.settimeout(1.0)
            written = last = _write(program, [attacker])
            while time.monotonic() < written + _SESSION_S:
                try:
                    peer.sendall(b"?")
                    if not heard.recv(1):
                        return last - written
                except (ConnectionError, TimeoutError):
                    return last - written
                last = time.monotonic()
                time.sleep(0.005)
    return None


def _back(program: Program) -> float | None:
    """How long all bans take to be in the kernel again after firewalld has reloaded."""
    lab = program.lab
    before = _held(lab)
    lab.reload()
    began = time.monotonic()
    while _held(lab) < before:
        if time.monotonic() > began + _BACK_S:
            return None
        time.sleep(0.1)
    return time.monotonic() - began


def _held(lab: Lab) -> int:
    """How many addresses the kernel's rules and sets name."""
    return lab.nft().count("198.18.")


def _bare() -> list[float]:
    """The last of 100 calls of firewalld, with nothing round them."""
    addresses = [f"198.18.1.{n + 1}" for n in range(_WAVE)]
    with Lab() as lab, closing(KernelRules(lab)) as kernel:
        # firewalld is slower at first; the programs have warmed theirs up.
        warming = [f"198.18.0.{n + 1}" for n in range(_SINGLES)]
        asyncio.run(add_rules(lab.bus_address, warming, 1))
        began = time.monotonic()
        asyncio.run(add_rules(lab.bus_address, addresses, 1))
        return sorted(at - began for at in kernel.wait_for(addresses).values())

"""mailbanned beside fail2ban and sshguard: reaction, a wave, an open session, a reload, memory.

All see the same lines, and each has a firewalld of its own that is just like the others'.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from tests.bench.bare import add_rules
from tests.bench.host import KernelRules
from tests.bench.programs import ALL, Mailbanned, Program
from tests.bench.table import Curve, Found, Matrix, Plot, Row, left_out, measured, median
from tests.real.lab import ATTACKERS4, Lab
from tests.running import stamp

_WAIT_S = 120.0
_PORT = 22


@dataclass(frozen=True, slots=True)
class Scale:
    """How many come one by one and how many at once; how long (s) a session that goes on is
    watched, and bans may take to come back.
    """

    singles: int
    wave: int
    session_s: float
    back_s: float


_LONG, _SHORT = Scale(15, 100, 5.0, 20.0), Scale(5, 10, 2.0, 2.0)


@dataclass
class Course:
    """How one program did. Times in seconds.

    singles: from the deciding line to the kernel, one address at a time. wave: the same for each of
    many addresses written at once. session: until an open session ended, None if it went on.
    back: until all bans were back after a reload of firewalld, None if some were not.
    memory: MB after the wave.
    """

    singles: list[float] = field(default_factory=list)
    wave: list[float] = field(default_factory=list)
    session: float | None = None
    back: float | None = None
    memory: float = 0.0


def run(short: bool = False) -> Found:
    """Every program that is installed, and the floor."""
    scale = _SHORT if short else _LONG
    courses = {cls: _course(cls, scale) for cls in ALL if not cls.missing()}
    bare = _bare(scale)
    ours = courses[Mailbanned]
    rows = [
        (
            cls.name,
            f"{median(course.singles) * 1000:.0f} ms",
            f"{median(course.singles) / median(ours.singles):.2f}",
            f"{max(course.wave):.2f} s",
            f"{max(course.wave) / max(ours.wave):.2f}",
            "goes on" if course.session is None else f"cut after {course.session * 1000:.0f} ms",
            "never" if course.back is None else f"{course.back:.1f} s",
            f"{course.memory:.0f} MB",
        )
        for cls, course in courses.items()
    ]
    floor = f"{max(bare):.2f} s", f"{max(bare) / max(ours.wave):.2f}"
    rows.append(("bare D-Bus calls, the floor", "", "", *floor, "", "", ""))
    absent = [cls for cls in ALL if cls not in courses]
    rows += [(cls.name, cls.missing(), "", "", "", "", "", "") for cls in absent]
    figures = [row for cls, course in courses.items() for row in _figures(cls, course)]
    figures.append(measured("bare.wave", f"{scale.wave} bare calls", max(bare), "s"))
    figures.append(measured("bare.rule", "a rule", max(bare) / scale.wave * 1000, "ms"))
    figures += [left_out(f"{cls.key}.one", cls.name, "ms", "", cls.missing()) for cls in absent]
    head = (
        "", "one address", "x ours", f"wave of {scale.wave}, last", "x ours", "an open session",
        "all back after a reload", "memory",
    )  # fmt: skip
    curves = [Curve(cls.name, course.wave) for cls, course in courses.items()]
    return [
        *_times_ours(courses),
        Matrix(head, rows, figures),
        Plot([*curves, Curve("bare D-Bus calls", bare)], scale.wave),
    ]


def _figures(cls: type[Program], course: Course) -> Iterator[Row]:
    """What one program's row of the matrix says; without what it never did."""
    key, name = cls.key, cls.name
    yield measured(f"{key}.one", f"{name}: one address", median(course.singles) * 1000, "ms")
    yield measured(f"{key}.wave", f"{name}: the last one of a wave", max(course.wave), "s")
    yield measured(f"{key}.memory", f"{name}: memory", course.memory, "MB")
    if course.session is not None:
        yield measured(f"{key}.session", f"{name}: session cut", course.session * 1000, "ms")
    if course.back is not None:
        yield measured(f"{key}.back", f"{name}: back after a reload", course.back, "s")


def _times_ours(courses: Mapping[type[Program], Course]) -> list[Row]:
    """How much longer than ours the quickest of the others takes."""
    one, wave = "quickest other / mailbanned, one address", "    the last one of a wave"
    others = [course for cls, course in courses.items() if not issubclass(cls, Mailbanned)]
    ours = courses[Mailbanned]
    if not others:
        why = "no other program is installed"
        return [
            left_out("times.one", one, "times", ">= 5 times", why),
            left_out("times.wave", wave, "times", ">= 20 times", why),
        ]
    singles = min(median(course.singles) for course in others) / median(ours.singles)
    waves = min(max(course.wave) for course in others) / max(ours.wave)
    return [
        measured("times.one", one, singles, "times", ">= 5 times"),
        measured("times.wave", wave, waves, "times", ">= 20 times"),
    ]


def _course(cls: type[Program], scale: Scale) -> Course:
    course = Course()
    with Lab() as lab, cls(lab) as program:
        with closing(KernelRules(lab)) as kernel:
            for number in range(scale.singles):
                course.singles += _ban(program, kernel, [f"198.18.0.{number + 1}"])
                time.sleep(0.1 + number * 0.037)  # in step with nothing
            course.wave = _ban(program, kernel, _wave(scale))
        course.memory = program.memory()
        course.session = _session(program, scale.session_s)
        course.back = _back(program, scale.back_s)
    return course


def _wave(scale: Scale) -> list[str]:
    return [f"198.18.1.{n + 1}" for n in range(scale.wave)]


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


def _session(program: Program, limit_s: float) -> float | None:
    """How long an attacker who is connected is still heard after the deciding line."""
    lab, attacker = program.lab, ATTACKERS4[0]
    with closing(lab.listen(_PORT)) as listener, closing(lab.connect(attacker, _PORT)) as peer:
        heard, _ = listener.accept()
        with closing(heard):
            heard.settimeout(1.0)
            written = last = _write(program, [attacker])
            while time.monotonic() < written + limit_s:
                try:
                    peer.sendall(b"?")
                    if not heard.recv(1):
                        return last - written
                except (ConnectionError, TimeoutError):
                    return last - written
                last = time.monotonic()
                time.sleep(0.005)
    return None


def _back(program: Program, limit_s: float) -> float | None:
    """How long all bans take to be in the kernel again after firewalld has reloaded."""
    lab = program.lab
    before = _held(lab)
    lab.reload()
    began = time.monotonic()
    while _held(lab) < before:
        if time.monotonic() > began + limit_s:
            return None
        time.sleep(0.1)
    return time.monotonic() - began


def _held(lab: Lab) -> int:
    """How many addresses the kernel's rules and sets name."""
    return lab.nft().count("198.18.")


def _bare(scale: Scale) -> list[float]:
    """Calls of firewalld for a wave, with nothing round them."""
    addresses = _wave(scale)
    with Lab() as lab, closing(KernelRules(lab)) as kernel:
        # firewalld is slower at first; the programs have warmed theirs up.
        warming = [f"198.18.0.{n + 1}" for n in range(scale.singles)]
        asyncio.run(add_rules(lab.bus_address, warming, 1))
        began = time.monotonic()
        asyncio.run(add_rules(lab.bus_address, addresses, 1))
        return sorted(at - began for at in kernel.wait_for(addresses).values())

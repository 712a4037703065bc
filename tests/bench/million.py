"""A million attackers who fail once each: what remembering them costs the daemon.

They come within the findtime of the shipped jails, so that no failure may be forgotten because it
is too old. The log is written as fast as the daemon reads it. Another daemon then takes up the
counts that the first one saved, until it has all of them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from mailbanned.control import ControlError, ask
from tests.bench.table import Row, measured
from tests.running import Running, rcpt, sasl, write_shipped

_ATTACKERS = 1_000_000
_FEW = 100_000
# Memory above that of a daemon at rest. What does not grow with the attackers (remembered lines and
# answers, buffers) weighs more where they are few.
_MOST = "< 150 MB"
_MOST_FOR_FEW = "< 400 bytes each"
_AT_ONCE = 10_000
_AHEAD = 4_000_000  # bytes that wait in the log
_FIRST = int(IPv4Address("10.0.0.0"))
_LOOK_S = 0.25  # each look costs the daemon some milliseconds
_LIMIT_S = 600.0
_STRIDE = 7_654_321  # no neighbours one after the other


class Daemon(Running):
    """A daemon with the shipped jails that is asked through its socket, and not often."""

    def status(self) -> dict[str, Any]:
        try:
            document: dict[str, Any] = ask(self.folder / "control.sock", "status")
        except ControlError:
            return {}
        return document

    def postfix(self) -> dict[str, Any]:
        """The state of the log that is written."""
        return self.source("postfix")

    def counted(self) -> int:
        """How many failures the jails have counted since the start."""
        return self._failures("total")

    def remembered(self) -> int:
        """How many failures would count now, those of an earlier run included."""
        return self._failures("now")

    def _failures(self, which: str) -> int:
        return sum(jail[f"failures_{which}"] for jail in self.status().get("jails", ()))

    def memory(self, which: str = "VmRSS") -> float:
        """Resident memory in MB: now, or at most so far (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if which in line) / 1024


def _lines(attackers: int) -> Iterator[list[str]]:
    """Every address once, by turns with a login and with a recipient that are refused."""
    for first in range(0, attackers, _AT_ONCE):
        lines = []
        for number in range(first, first + _AT_ONCE):
            address = str(IPv4Address(_FIRST + number * _STRIDE % (1 << 24)))
            lines.append((sasl, rcpt)[number % 2](address, f"x{number}@example.org"))
        yield lines


def _attack(daemon: Daemon, attackers: int) -> float:
    """Writes all lines; returns the seconds until they were counted."""
    began = time.monotonic()
    for lines in _lines(attackers):
        daemon.append("postfix.log", *lines)
        while daemon.postfix()["lag_bytes"] > _AHEAD:
            time.sleep(_LOOK_S)
    _wait(daemon.counted, attackers)
    return time.monotonic() - began


def _wait(count: Callable[[], int], wanted: int) -> None:
    """Waits until so many failures are counted."""
    began = time.monotonic()
    while (counted := count()) < wanted:
        assert time.monotonic() < began + _LIMIT_S, f"only {counted:,} were counted"
        time.sleep(_LOOK_S)


def run(short: bool = False) -> list[Row]:
    """One daemon, and another one with the state that it left."""
    attackers = _FEW if short else _ATTACKERS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shipped(folder)
        (folder / "postfix.log").touch()
        with Daemon(folder) as daemon:
            daemon.wait(lambda: daemon.postfix().get("state") == "following", "the log is followed")
            before = daemon.memory()
            took = _attack(daemon, attackers)
            peak, after = daemon.memory("VmHWM"), daemon.memory()
            remembered = daemon.remembered()
            assert remembered == attackers, f"{remembered:,} failures are remembered"
            daemon.stop()
            began = time.monotonic()
            daemon.start()
            answered = time.monotonic() - began
            _wait(daemon.remembered, remembered)
            restored, restarted = time.monotonic() - began, daemon.memory("VmHWM")
            assert daemon.remembered() == remembered
        state = (folder / "state.db").stat().st_size

    def most(key: str, what: str, memory: float, note: str) -> Row:
        if not short:
            return measured(key, what, memory, "MB", _MOST, note)
        each = (memory - before) * 1024**2 / attackers
        return measured(key, what, each, "bytes each", _MOST_FOR_FEW, f"{memory:.0f} MB; {note}")

    counted = f"{remembered:,} failures"
    again = f"{restored:.1f} s; state file {state / 1e6:,.0f} MB"
    until = "    at most, after a restart, until all counts are back"
    return [
        measured("before", "resident memory before", before, "MB"),
        most("peak", f"    at most, with {attackers:,} attackers", peak, counted),
        measured("after", "    when all are counted", after, "MB"),
        most("restart", until, restarted, again),
        measured("answered", "    until it answered", answered, "s"),
        measured("rate", "lines counted", attackers / took, "/s", "", f"{took:.1f} s"),
    ]

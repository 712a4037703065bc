"""A million attackers who fail once each: what remembering them costs the daemon.

They come within the findtime of the shipped jails, so that no failure may be forgotten because it
is too old. The log is written as fast as the daemon reads it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from mailbanned.control import ControlError, ask
from tests.bench.table import Row
from tests.running import Running, rcpt, sasl, write_shipped

_ATTACKERS = 1_000_000
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
        """How many failures the jails have counted."""
        return sum(jail["failures_total"] for jail in self.status()["jails"])

    def memory(self, which: str = "VmRSS") -> float:
        """Resident memory in MB: now, or at most so far (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if which in line) / 1024


def _lines() -> Iterator[list[str]]:
    """Every address once, by turns with a login and with a recipient that are refused."""
    for first in range(0, _ATTACKERS, _AT_ONCE):
        lines = []
        for number in range(first, first + _AT_ONCE):
            address = str(IPv4Address(_FIRST + number * _STRIDE % (1 << 24)))
            lines.append((sasl, rcpt)[number % 2](address, f"x{number}@example.org"))
        yield lines


def _attack(daemon: Daemon) -> float:
    """Writes all lines; returns the seconds until they were counted."""
    began = time.monotonic()
    for lines in _lines():
        daemon.append("postfix.log", *lines)
        while daemon.postfix()["lag_bytes"] > _AHEAD:
            time.sleep(_LOOK_S)
    while daemon.counted() < _ATTACKERS:
        assert time.monotonic() < began + _LIMIT_S, f"only {daemon.counted():,} were counted"
        time.sleep(_LOOK_S)
    return time.monotonic() - began


def run() -> list[Row]:
    """One daemon, and another one with the state that it left."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shipped(folder)
        (folder / "postfix.log").touch()
        with Daemon(folder) as daemon:
            daemon.wait(lambda: daemon.postfix().get("state") == "following", "the log is followed")
            before = daemon.memory()
            took = _attack(daemon)
            peak, after, counted = daemon.memory("VmHWM"), daemon.memory(), daemon.counted()
            daemon.stop()
            began = time.monotonic()
            daemon.start()
            again, restarted = time.monotonic() - began, daemon.memory("VmHWM")
        state = (folder / "state.db").stat().st_size
    return [
        Row("resident memory before", f"{before:.0f} MB"),
        Row(f"    at most, with {_ATTACKERS:,} attackers", f"{peak:.0f} MB", "< 150 MB"),
        Row("    when all are counted", f"{after:.0f} MB", "", f"{counted:,} failures"),
        Row("    at most, after a restart", f"{restarted:.0f} MB", "< 150 MB",
            f"{again:.1f} s until it answered; state file {state / 1e6:,.0f} MB"),
        Row("lines counted", f"{_ATTACKERS / took:,.0f}/s", "", f"{took:.1f} s"),
    ]  # fmt: skip

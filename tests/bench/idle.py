"""What the daemon costs when nothing happens, and memory after an attack."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.bench.host import Host
from tests.bench.table import Row, measured

_SECONDS, _SHORT_S = 20.0, 5.0


def run(short: bool = False) -> list[Row]:
    """Resident memory and CPU time over some quiet seconds."""
    seconds = _SHORT_S if short else _SECONDS
    with Host() as host:
        pid = host.daemon.process.pid
        time.sleep(2.0)  # the start itself is not idling
        before, began = _cpu(pid), time.monotonic()
        time.sleep(seconds)
        share = (_cpu(pid) - before) / (time.monotonic() - began) * 100
        return [
            measured("memory", "resident memory, idle", _resident(pid), "MB", "<= 45 MB"),
            measured(
                "cpu",
                "CPU, idle",
                share,
                "% CPU",
                "<= 0.5 % CPU",
                f"of one core over {seconds:.0f} s",
            ),
        ]


def _cpu(pid: int) -> float:
    """User and system seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"process {pid} has no memory")

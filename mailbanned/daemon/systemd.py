"""What systemd is told (sd_notify), and the watchdog.

Without $NOTIFY_SOCKET (a daemon started by hand) all of this does nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress


def notify(*messages: str) -> None:
    """Sends messages such as "READY=1" or "STATUS=..." to the service manager."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        # The manager's queue may be full; nothing of ours waits for that any longer than this.
        channel.settimeout(0.5)
        channel.connect(address)
        channel.sendall("\n".join(messages).encode())


def reloading() -> None:
    """A reload begins; READY=1 ends it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


async def watchdog() -> None:
    """Tells systemd, twice in each of its periods, that the event loop still turns."""
    period = int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    while period > 0 and mine:
        notify("WATCHDOG=1")
        await asyncio.sleep(period)

"""Network namespaces: programs and sockets in them, and the small tools that labs are made of."""

from __future__ import annotations

import ctypes
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.waiting import HANG_S

_CLONE_NEWNET = 0x40000000


class Namespace:
    """One network namespace: programs and sockets in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """Starts a program in here. Options as for Popen; text mode."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, *argv], text=True, **options
        )  # ip replaces itself by the program, so the pid is the program's

    def exec(self, *argv: str, stdin: str = "", check: bool = True) -> str:
        """Runs a program in here and returns its output; raises if it fails and `check` is set."""
        return run("ip", "netns", "exec", self.name, *argv, stdin=stdin, check=check)

    def configure(self, interface: str, addresses: list[str]) -> None:
        """Gives addresses (with their prefix) to an interface in here, and sets it up."""
        lines = [
            f"address add {address} dev {interface}{' nodad' if ':' in address else ''}"
            for address in addresses
        ]
        lines += ["link set lo up", f"link set {interface} up"]
        run("ip", "-netns", self.name, "-batch", "-", stdin="\n".join(lines) + "\n")

    def socket(
        self,
        family: socket.AddressFamily = socket.AF_INET,
        kind: socket.SocketKind = socket.SOCK_STREAM,
        protocol: int = 0,
    ) -> socket.socket:
        """A socket (TCP by default) of this namespace, whichever process or thread uses it."""
        made: list[socket.socket] = []

        def make() -> None:
            # A namespace is entered by a thread, for good; so a thread is spent on it.
            with Path("/run/netns", self.name).open() as handle:
                if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"cannot enter {self.name}")
            made.append(socket.socket(family, kind, protocol))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made.pop()


def unanswered(knock: socket.socket, door: tuple[str, int], later: Callable[[], object]) -> bool:
    """Whether nobody answers a knock at a door, be it with a yes or with a no.

    later: knocks as somebody who is let in, over the same link, and returns when that is answered.
    Packets do not overtake each other, so no time has to pass.
    """
    knock.setblocking(False)
    with suppress(BlockingIOError):
        knock.connect(door)
    later()
    return not select.select([], [knock], [], 0)[1]


def run(*argv: str, stdin: str = "", check: bool = True, env: dict[str, str] | None = None) -> str:
    """Runs a program and returns its output; raises if it fails and `check` is set."""
    result = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, timeout=HANG_S, check=False, env=env
    )
    if check and result.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {result.stderr or result.stdout}")
    return result.stdout


def end(process: subprocess.Popen[str]) -> None:
    """Asks a program to end, and makes it if it hangs."""
    process.terminate()
    process.send_signal(signal.SIGCONT)  # it may have been stopped
    try:
        process.wait(HANG_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], object], what: str, seconds: float = HANG_S) -> None:
    """Polls until the condition is true. Raises TimeoutError, saying what was waited for."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)

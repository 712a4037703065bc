"""`./dev run` on a terminal, as root: a real firewalld, Ctrl-C, and nothing left behind."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.lab import missing
from tests.real.netns import run
from tests.waiting import HANG_S

pytestmark = pytest.mark.real


class Terminal:
    """The show on a terminal of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._screen, terminal = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.demo", *arguments],
            stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TMPDIR": str(folder)},
        )  # fmt: skip
        os.close(terminal)

    def read_until(self, words: str) -> None:
        """Reads what is shown until the words appear; "" reads to the end."""
        deadline = time.monotonic() + HANG_S
        while not words or words not in self.text:
            ready, _, _ = select.select([self._screen], [], [], deadline - time.monotonic())
            assert ready, f"{words!r} did not appear:\n{self.text}"
            try:
                self.text += os.read(self._screen, 65536).decode()
            except OSError:  # nobody holds the other end any more
                assert not words, f"ended before {words!r}:\n{self.text}"
                return

    def press_ctrl_c(self) -> None:
        """What the keyboard sends; the terminal makes it a signal to everybody on it."""
        os.write(self._screen, b"\x03")

    def close(self) -> None:
        """Ends the show if it has not ended; one that hangs takes all of its session along."""
        os.close(self._screen)
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """The show has begun."""
    if reason := missing():
        (pytest.fail if "CI" in os.environ else pytest.skip)(reason)
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


def left(terminal: Terminal, folder: Path) -> list[str]:
    """What the show left behind: files, namespaces, processes."""
    found = [str(path) for path in folder.iterdir()]
    found += [n for n in run("ip", "netns", "list").split() if str(terminal.process.pid) in n]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_show(terminal: Terminal, tmp_path: Path) -> None:
    """Every attacker is in the kernel's rules and nobody else; then Ctrl-C ends all of it."""
    terminal.read_until("mailbanned -c")
    assert "firewall: a real firewalld in its own network namespace" in terminal.text
    assert "ip saddr 198.51.100.178 drop" in terminal.text
    assert "ip6 saddr 2001:db8:bad:1::/64 drop" in terminal.text
    assert "all 25 expected addresses are banned, and nobody else" in terminal.text
    terminal.press_ctrl_c()
    terminal.read_until("")
    assert terminal.process.wait(HANG_S) == 0
    assert "bans stay in force" in terminal.text
    assert "firewall is down" not in terminal.text, "Ctrl-C reached firewalld"
    assert "Traceback" not in terminal.text
    assert left(terminal, tmp_path) == []


def test_impatience(terminal: Terminal, tmp_path: Path) -> None:
    """Ctrl-C in the middle of the show, and again while it ends, leaves nothing behind either."""
    terminal.read_until("IMAP")
    terminal.press_ctrl_c()
    terminal.read_until("stopping")
    terminal.press_ctrl_c()
    terminal.read_until("")
    terminal.process.wait(HANG_S)
    assert "Traceback" not in terminal.text
    assert left(terminal, tmp_path) == []

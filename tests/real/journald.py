"""A real journald in a mount namespace of its own, with a journal of its own in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

_JOURNALD = "/usr/lib/systemd/systemd-journald"
_NOBODY = "65534"
#: No kernel messages, no audit, nothing on disk: nothing of the machine's own is touched.
_CONFIGURATION = """[Journal]
Storage=volatile
Audit=no
ReadKMsg=no
RateLimitIntervalSec=0
"""
_SCRIPT = f"""set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journald.conf.d /run/log
printf '%s' "$1" > /run/systemd/journald.conf.d/test.conf
exec {_JOURNALD}
"""


class Journald:
    """A running journald. FileNotFoundError if the machine has none, or the rights are missing."""

    def __init__(self) -> None:
        if os.geteuid() != 0 or not Path(_JOURNALD).exists():
            raise FileNotFoundError(f"needs root and {_JOURNALD}")
        script = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT]
        self._process = subprocess.Popen([*script, "sh", _CONFIGURATION])
        self.inside = ("nsenter", f"--mount=/proc/{self._process.pid}/ns/mnt")
        self.journalctl = (*self.inside, "journalctl")
        socket = Path(f"/proc/{self._process.pid}/root/run/systemd/journal/dev-log")
        give_up = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < give_up, "journald did not start"
            time.sleep(0.01)

    def log(self, identifier: str, message: str, by_root: bool = True) -> None:
        """Writes to the journal as a daemon does, or as any local user could."""
        user = () if by_root else ("setpriv", "--reuid", _NOBODY, "--clear-groups")
        socket = "/run/systemd/journal/dev-log"
        logger = ("logger", "--socket", socket, "--id", "--tag", identifier, "--", message)
        subprocess.run([*self.inside, *user, *logger], check=True, timeout=10)

    def rotate(self) -> None:
        """Makes it begin new journal files."""
        self._process.send_signal(signal.SIGUSR2)

    def vacuum(self) -> None:
        """Deletes all journal files but the current ones."""
        command = [*self.journalctl, "--quiet", "--vacuum-files=1"]
        subprocess.run(command, check=True, timeout=10, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        """Ends it; its journal goes with it."""
        self._process.terminate()
        self._process.wait(timeout=10)

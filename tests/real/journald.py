"""A real journald in a mount namespace of its own, with a journal of its own in memory."""

from __future__ import annotations

import os
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
#: Keeps the namespace for as long as its standard input is open.
_SCRIPT = """set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journald.conf.d /run/log
printf '%s' "$1" > /run/systemd/journald.conf.d/test.conf
echo ready
exec cat
"""


class Journald:
    """A running journald. FileNotFoundError if the machine has none, or the rights are missing."""

    def __init__(self) -> None:
        if os.geteuid() != 0 or not Path(_JOURNALD).exists():
            raise FileNotFoundError(f"needs root and {_JOURNALD}")
        script = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT]
        self._namespace = subprocess.Popen(
            [*script, "sh", _CONFIGURATION], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._namespace.stdout is not None
        assert self._namespace.stdout.readline() == b"ready\n"
        self.inside = ("nsenter", f"--mount=/proc/{self._namespace.pid}/ns/mnt")
        self.root = Path(f"/proc/{self._namespace.pid}/root")
        self.journalctl = (*self.inside, "journalctl")
        self._start()

    def _start(self) -> None:
        socket = self.root / "run/systemd/journal/dev-log"
        socket.unlink(missing_ok=True)
        self._process = subprocess.Popen([*self.inside, _JOURNALD])
        give_up = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < give_up, "journald did not start"
            time.sleep(0.01)

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)

    def restart(self) -> None:
        """Ends it and starts it again; its journal stays."""
        self._end()
        self._start()

    def log(self, identifier: str, message: str, by_root: bool = True) -> None:
        """Writes to the journal as a daemon does, or as any local user could."""
        user = () if by_root else ("setpriv", "--reuid", _NOBODY, "--clear-groups")
        socket = "/run/systemd/journal/dev-log"
        logger = ("logger", "--socket", socket, "--id", "--tag", identifier, "--", message)
        subprocess.run([*self.inside, *user, *logger], check=True, timeout=10)

    def rotate(self) -> None:
        """Makes it begin new journal files."""
        subprocess.run([*self.journalctl, "--rotate"], check=True, timeout=10)

    def vacuum(self) -> None:
        """Deletes all journal files but the current ones."""
        command = [*self.journalctl, "--quiet", "--vacuum-files=1"]
        subprocess.run(command, check=True, timeout=10, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        """Ends it; its journal goes with it."""
        self._end()
        self._namespace.communicate(timeout=10)

"""A real journald in a mount namespace of its own, with a journal of its own in memory."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from tests.real.netns import end, wait_until
from tests.waiting import HANG_S

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
    """with Journald() as journald: ... FileNotFoundError if the machine has none, or the rights
    are missing.
    """

    def __init__(self) -> None:
        if os.geteuid() != 0 or not Path(_JOURNALD).exists():
            raise FileNotFoundError(f"needs root and {_JOURNALD}")
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            script = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT]
            namespace = undo.enter_context(
                subprocess.Popen(
                    [*script, "sh", _CONFIGURATION],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )  # fmt: skip
            assert namespace.stdout is not None
            assert namespace.stdout.readline() == "ready\n"
            self.inside = ("nsenter", f"--mount=/proc/{namespace.pid}/ns/mnt")
            self.root = Path(f"/proc/{namespace.pid}/root")
            self.journalctl = (*self.inside, "journalctl")
            undo.callback(self._end)
            self._start()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it; its journal goes with it."""
        self._undo.close()

    def _start(self) -> None:
        socket = self.root / "run/systemd/journal/dev-log"
        socket.unlink(missing_ok=True)
        self._process = subprocess.Popen([*self.inside, _JOURNALD], text=True)
        wait_until(socket.exists, "journald has its socket")

    def _end(self) -> None:
        end(self._process)

    def restart(self) -> None:
        """Ends it and starts it again; its journal stays."""
        self._end()
        self._start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It stands still until the end of the block."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def shows(self, message: str) -> bool:
        """Whether a message is in the journal's files."""
        command = [*self.journalctl, "--quiet", "--output=cat"]
        found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=HANG_S)
        return message in found.stdout.splitlines()

    def log(self, identifier: str, message: str, by_root: bool = True) -> None:
        """Writes to the journal as a daemon does, or as any local user could."""
        user = () if by_root else ("setpriv", "--reuid", _NOBODY, "--clear-groups")
        socket = "/run/systemd/journal/dev-log"
        logger = ("logger", "--socket", socket, "--id", "--tag", identifier, "--", message)
        subprocess.run([*self.inside, *user, *logger], check=True, timeout=HANG_S)

    def rotate(self) -> None:
        """Makes it begin new journal files."""
        subprocess.run([*self.journalctl, "--rotate"], check=True, timeout=HANG_S)

    def vacuum(self) -> None:
        """Deletes all journal files but the current ones."""
        command = [*self.journalctl, "--quiet", "--vacuum-files=1"]
        subprocess.run(command, check=True, timeout=HANG_S, stderr=subprocess.DEVNULL)

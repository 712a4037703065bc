"""A private MariaDB server for tests: its own data directory, socket and port; root only inside.

It is started and ended by its own process id. What it wrote goes with its directory.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.waiting import HANG_S

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_SMALL = (
    "--skip-name-resolve",
    "--innodb-buffer-pool-size=8M",
    "--innodb-log-file-size=4M",
    "--innodb-flush-log-at-trx-commit=0",
    "--max-connections=20",
)


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


class MariaDB:
    """One server; construct, start(), and remove() at the end.

    Raises FileNotFoundError at once if MariaDB is not installed.
    """

    host = "127.0.0.1"

    def __init__(self) -> None:
        self._server = _program("mariadbd")
        self._install = _program("mariadb-install-db")
        self._client = _program("mariadb")
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = Path(tempfile.mkdtemp(prefix="mariadb-"))
        self._data = self._directory / "data"
        self._log = self._directory / "log"
        self.socket = str(self._directory / "socket")
        with socket.socket() as probe:
            probe.bind((self.host, 0))
            self.port: int = probe.getsockname()[1]

    def start(self) -> None:
        """Runs the server and returns when it answers."""
        if not self._data.exists():
            self._make()
        command = [self._server, *self._place(), f"--socket={self.socket}", f"--port={self.port}"]
        command += [f"--bind-address={self.host}", *_SMALL]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + HANG_S
        while self._ask("SELECT 1").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"mariadbd did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends the server, as the system does; nothing happens if it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self) -> None:
        """A new server process on the same data, socket and port."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Ends the server and deletes all it wrote."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def execute(self, sql: str) -> list[str]:
        """Runs statements as root; the rows of their results, columns separated by tabs."""
        result = self._ask(sql)
        if result.returncode != 0:
            raise RuntimeError(result.stderr.decode())
        return result.stdout.decode().splitlines()

    def _place(self) -> list[str]:
        return ["--no-defaults", f"--datadir={self._data}", f"--user={getpass.getuser()}"]

    def _make(self) -> None:
        """Writes the system tables."""
        command = [self._install, *self._place(), "--auth-root-authentication-method=normal"]
        subprocess.run(command, check=True, capture_output=True, timeout=HANG_S)

    def _ask(self, sql: str) -> subprocess.CompletedProcess[bytes]:
        command = [self._client, "--no-defaults", "--batch", "--skip-column-names", "--user=root"]
        command += ["--default-character-set=utf8mb4", f"--socket={self.socket}"]
        return subprocess.run(command, input=sql.encode(), capture_output=True, timeout=HANG_S)

"""mailbanned and its peers, each at work on a lab's host: the same log, jail and firewall for all.

Each bans an address at its third wrong password within an hour. The peers are those of the
distribution, set up as it does, but for the paths and these numbers.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from tests.real.lab import Lab
from tests.real.netns import wait_until
from tests.running import Running, write_config

_JAIL = """
[jails.sshd]
source = "sshd"
filter = "sshd"
maxretry = 3
findtime = "1h"
bantime = "1h"
"""
_FAIL2BAN = """
[DEFAULT]
backend = {backend}
usedns = no
ignoreself = false
banaction = firewallcmd-rich-rules
maxretry = 3
findtime = 1h
bantime = 1h
[sshd]
enabled = true
logpath = {log}
"""
_SSHGUARD = Path("/usr/libexec/sshguard")


class Program(ABC):
    """One of them. A context manager: at work from its start to its end."""

    name = ""
    key = ""  # how results.json names it

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.log = lab.directory / "secure"
        self.log.touch()

    @classmethod
    def missing(cls) -> str:
        """What it lacks here, "" if nothing."""
        return ""

    @abstractmethod
    def start(self) -> None:
        """Returns when the lines that are written from now on are read."""

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def pids(self) -> list[int]:
        """Its processes."""

    def memory(self) -> float:
        """What its processes have in memory, in MB; what they share is counted once."""
        return sum(_proportional(pid) for pid in self.pids()) / 1024

    def __enter__(self) -> Program:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Mailbanned(Program):
    """Ours, with its first backend."""

    name = "mailbanned"
    key = "mailbanned"
    backend = "firewalld"

    def start(self) -> None:
        folder = self.lab.directory
        write_config(folder, backend=self.backend, more=_JAIL)
        for name in ("postfix.log", "dovecot.log"):
            (folder / name).touch()
        env = {"DBUS_SYSTEM_BUS_ADDRESS": self.lab.bus_address}
        self._daemon = Running(folder, env=env, launch=self.lab.host.popen)
        self._daemon.start()
        self._daemon.following()

    def stop(self) -> None:
        self._daemon.stop()

    def pids(self) -> list[int]:
        return [self._daemon.process.pid]


class MailbannedNftables(Mailbanned):
    """Ours, with a table of its own."""

    name = "mailbanned (nftables)"
    key = "mailbanned-nftables"
    backend = "nftables"


class _Peer(Program):
    """A program of others, started as a shell command that leads a process group."""

    def _launch(self, *argv: str) -> None:
        env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.lab.bus_address}
        with (self.lab.directory / "peer.log").open("a") as output:
            self._process = self.lab.host.popen(
                *argv, env=env, stdout=output, stderr=output, start_new_session=True
            )

    def _until(self, condition: Callable[[], object], what: str) -> None:
        wait_until(condition, what, 60.0)

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def pids(self) -> list[int]:
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == self._process.pid:
                found.append(int(stat.parent.name))
        return found


class Fail2ban(_Peer):
    """fail2ban that looks at the log again and again."""

    name = "fail2ban (polling)"
    key = "fail2ban-polling"
    backend = "polling"

    @classmethod
    def missing(cls) -> str:
        return "" if shutil.which("fail2ban-server") else "fail2ban is not installed"

    def start(self) -> None:
        folder = self.lab.directory / "fail2ban"
        shutil.copytree("/etc/fail2ban", folder)
        (folder / "jail.local").write_text(_FAIL2BAN.format(backend=self.backend, log=self.log))
        own = folder / "own.log"
        (folder / "fail2ban.local").write_text(
            f"[Definition]\nlogtarget = {own}\nsocket = {folder}/sock\npidfile = {folder}/pid\n"
            f"dbfile = {folder}/db.sqlite3\n"
        )
        self._launch("fail2ban-server", "-c", str(folder), "-f", "start")
        self._until(
            lambda: own.exists() and "Jail 'sshd' started" in own.read_text(), "its jail is started"
        )


class Fail2banInotify(Fail2ban):
    """fail2ban that is told of changes."""

    name = "fail2ban (pyinotify)"
    key = "fail2ban-pyinotify"
    backend = "pyinotify"

    @classmethod
    def missing(cls) -> str:
        found = subprocess.run(["/usr/bin/python3", "-c", "import pyinotify"], capture_output=True)
        return super().missing() or ("python3-pyinotify is missing" if found.returncode else "")


class Sshguard(_Peer):
    """sshguard: its own pipeline, without the script that finds its configuration in /etc."""

    name = "sshguard"
    key = "sshguard"

    @classmethod
    def missing(cls) -> str:
        return "" if (_SSHGUARD / "sshg-blocker").exists() else "sshguard is not installed"

    def start(self) -> None:
        flags = "-a 30 -p 3600 -s 3600 -N 128 -n 32"  # three attempts of ten points each
        self._launch(
            "/bin/sh", "-c",
            f"tail -F -n 0 {self.log} | {_SSHGUARD}/sshg-parser | {_SSHGUARD}/sshg-blocker {flags}"
            f" | {_SSHGUARD}/sshg-fw-firewalld",
        )  # fmt: skip
        self._until(lambda: 'ipset="sshguard4"' in " ".join(self.lab.rules()), "its set is there")


def _proportional(pid: int) -> int:
    """A process's share of the memory (kB)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


#: Ours first.
ALL: tuple[type[Program], ...] = (
    Mailbanned,
    MailbannedNftables,
    Fail2ban,
    Fail2banInotify,
    Sshguard,
)

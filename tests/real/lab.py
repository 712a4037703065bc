"""A mail host and its attackers, each in a network namespace, with a real firewalld between them.

    attacker: net0 198.51.100.10-250, 2001:db8:0:1::10-2f, 2001:db8:0:2::10-2f
       |
    host:     wan0 198.51.100.1, 2001:db8:0:1::1, the default route; dbus-daemon, firewalld

Nothing of the machine's own firewall is touched. Needs root and the programs in PROGRAMS. Whatever
was started is ended by its pid, and everything made is removed, also after a failure. It knows
nothing of the tests that use it:

    with Lab() as lab:
        lab.firewall_cmd("--list-all")
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.real.denials import sources
from tests.real.files import write_files
from tests.real.netns import Namespace, end, run, unanswered, wait_until
from tests.waiting import HANG_S

PROGRAMS = ("dbus-daemon", "firewalld", "firewall-cmd", "ip", "nft", "ss")

HOST4 = "198.51.100.1"
HOST6 = "2001:db8:0:1::1"
ATTACKERS4 = tuple(f"198.51.100.{n}" for n in range(10, 251))
ATTACKERS6 = tuple(f"2001:db8:0:1::{n:x}" for n in range(0x10, 0x30))
NEIGHBOURS6 = tuple(f"2001:db8:0:2::{n:x}" for n in range(0x10, 0x30))  # another /64
_GATEWAY4, _GATEWAY6 = "198.51.100.254", "2001:db8:0:1::fe"  # which no test bans

ZONE = "public"
INTERFACE = "wan0"
_numbers = itertools.count()


def missing() -> str:
    """Why there can be no lab here, "" if there can."""
    if os.geteuid() != 0:
        return "a network lab needs root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"a network lab needs {', '.join(absent)}" if absent else ""


class Lab:
    """The two namespaces with their link, a private system bus and firewalld.

    bus_address: where the bus is reached; the socket needs no namespace.
    proc_net: the host's /proc/net, seen from anywhere while the bus runs.
    """

    def __init__(self) -> None:
        unique = f"{os.getpid()}n{next(_numbers)}"
        self.host = Namespace(f"mbh{unique}")
        self.attacker = Namespace(f"mba{unique}")
        self._undo = ExitStack()
        self._bus: subprocess.Popen[str] | None = None
        self._firewalld: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.directory = Path(tempfile.mkdtemp(prefix="mailbanned-lab-"))
            undo.callback(shutil.rmtree, self.directory)
            for namespace in (self.host, self.attacker):
                run("ip", "netns", "add", namespace.name)
                undo.callback(run, "ip", "netns", "del", namespace.name)
            self._link()
            self.bus_address = f"unix:path={self.directory}/bus"
            write_files(self.directory, ZONE, INTERFACE)
            undo.callback(self.stop_bus)
            self.start_bus()
            undo.callback(self.stop_firewalld)
            self.start_firewalld()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def start_bus(self) -> None:
        """Starts the system bus, and returns when it accepts connections."""
        Path(self.directory, "bus").unlink(missing_ok=True)
        self._bus = self._start("dbus-daemon", f"--config-file={self.directory}/bus.conf")
        wait_until(Path(self.directory, "bus").exists, "the bus has its socket")

    def stop_bus(self) -> None:
        """Ends the bus; firewalld ends with it."""
        if self._bus is not None:
            end(self._bus)
            self._bus = None

    @property
    def proc_net(self) -> Path:
        return Path(f"/proc/{self._bus.pid if self._bus else 'nobody'}/net")

    def start_firewalld(self) -> None:
        """Starts firewalld, and returns when it answers."""
        options = ("--nofork", "--nopid", "--log-target=file")
        log = f"--log-file={self.directory}/firewalld.log"
        etc = f"--system-config={self.directory}/etc"
        self._firewalld = self._start("firewalld", *options, log, etc)
        wait_until(lambda: self.firewall_cmd("--state", check=False) == "running", "firewalld runs")

    def stop_firewalld(self) -> None:
        """Ends firewalld, as `systemctl stop` does."""
        if self._firewalld is not None:
            end(self._firewalld)
            self._firewalld = None

    @property
    def firewalld_pid(self) -> int:
        """firewalld's process, which must be running."""
        assert self._firewalld is not None
        return self._firewalld.pid

    def kill_firewalld(self) -> None:
        """Kills firewalld, as a crash does."""
        if self._firewalld is not None:
            self._firewalld.kill()
            self._firewalld.wait()
            self._firewalld = None

    def firewall_cmd(self, *arguments: str, check: bool = True) -> str:
        """What firewall-cmd says. Takes a quarter of a second."""
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus_address}
        return run("firewall-cmd", *arguments, check=check, env=environment).strip()

    def reload(self) -> None:
        """Makes firewalld forget all runtime rules."""
        self.firewall_cmd("--reload")

    def reset(self) -> None:
        """Back to a running firewalld that holds nobody out, after a test that is good."""
        if self._bus is None:
            self.start_bus()
        if self._firewalld is None or self._firewalld.poll() is not None:
            self.start_firewalld()
        elif self.denied():
            self.reload()
        self.host.exec("nft", "delete", "table", "inet", "mailbanned", check=False)

    def remake(self) -> None:
        """A new bus, firewalld and firewall, whatever a test has left."""
        self.kill_firewalld()
        self.stop_bus()
        self.host.exec("nft", "flush", "ruleset")
        shutil.rmtree(self.directory / "etc")
        write_files(self.directory, ZONE, INTERFACE)
        self.start_bus()
        self.start_firewalld()

    def rules(self, zone: str = ZONE) -> set[str]:
        """The runtime rich rules of a zone, as firewalld prints them."""
        return set(self.firewall_cmd(f"--zone={zone}", "--list-rich-rules").splitlines())

    def denied(self, zone: str = ZONE) -> set[str]:
        """The networks whose packets the kernel drops or rejects in a zone, with their prefix."""
        chain = f"filter_IN_{zone}_deny"
        output = self.host.exec(
            "nft", "-j", "list", "chain", "inet", "firewalld", chain, check=False
        )
        return set(sources(json.loads(output or '{"nftables": []}')["nftables"]))

    def nft(self) -> str:
        """The kernel's whole rule set on the host."""
        return self.host.exec("nft", "list", "ruleset")

    def listen(self, port: int, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        """A listening socket on the host; with AF_INET6 it takes IPv4 connections as well."""
        listener = self.host.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("", port))
        listener.listen(100)
        return listener

    def connect(self, source: str, port: int) -> socket.socket:
        """A connection from an attacker's address to the host.

        Raises ConnectionRefusedError if it is rejected, and TimeoutError only if it is dropped:
        whether it is, `drops` says sooner.
        """
        peer = self._from(source)
        try:
            peer.settimeout(HANG_S)
            peer.connect(_door(source, port))
        except BaseException:
            peer.close()
            raise
        return peer

    def accept(self, listener: socket.socket) -> socket.socket:
        """The host's end of the next connection."""
        served, _ = listener.accept()
        served.settimeout(HANG_S)
        return served

    def drops(self, source: str, port: int) -> bool:
        """Whether an attacker's packets to the host vanish, so that not even a refusal comes."""
        with self._from(source) as knock:
            return unanswered(knock, _door(source, port), self.overtake)

    def overtake(self) -> None:
        """Returns when what was sent until now over the link has arrived, or never will."""
        with self.listen(0, socket.AF_INET6) as listener:
            self.connect(_GATEWAY6, listener.getsockname()[1]).close()

    def _from(self, source: str) -> socket.socket:
        made = self.attacker.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
        made.bind((source, 0))
        return made

    def _start(self, *argv: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus_address}
        with Path(self.directory, "output.log").open("a") as output:
            return self.host.popen(*argv, env=environment, stdout=output, stderr=output)

    def _link(self) -> None:
        host, attacker = self.host.name, self.attacker.name
        run(*f"ip link add {INTERFACE} netns {host} type veth peer net0 netns {attacker}".split())
        self.host.configure(INTERFACE, [f"{HOST4}/24", f"{HOST6}/64"])
        theirs = [f"{address}/24" for address in (*ATTACKERS4, _GATEWAY4)]
        theirs += [f"{address}/64" for address in (*ATTACKERS6, *NEIGHBOURS6, _GATEWAY6)]
        self.attacker.configure("net0", theirs)
        routes = f"route add default via {_GATEWAY4}\nroute add default via {_GATEWAY6}\n"
        run("ip", "-netns", host, "-batch", "-", stdin=routes)


def _door(source: str, port: int) -> tuple[str, int]:
    """Where somebody with an address of a family finds a port of the host."""
    return HOST6 if ":" in source else HOST4, port

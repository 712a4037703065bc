"""A daemon at work in a lab: its log files, and what the kernel says of new rules."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Self

from tests.real.lab import Lab
from tests.running import Running, write_config

_SOL_NETLINK, _ADD_MEMBERSHIP, _NETFILTER, _NFTABLES = 270, 1, 12, 7
_JAILS = "".join(
    f'[jails.{name}]\nsource = "{source}"\nfilter = "{name}"\nmaxretry = {maxretry}\n'
    for name, source, maxretry in (
        ("postfix", "postfix", 3),
        ("postfix-sasl", "postfix", 3),
        ("postfix-rcpt-unknown", "postfix", 3),
        ("dovecot", "dovecot", 3),
        ("dovecot-unknown", "dovecot", 1),
        ("sshd", "sshd", 3),
        ("sshd-unknown", "sshd", 1),
    )
)


class KernelRules:
    """Hears of new nftables rules in the lab's host at the moment they are committed."""

    def __init__(self, lab: Lab) -> None:
        self._socket = lab.host.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES)

    def wait_for(self, addresses: list[str], seconds: float = 60.0) -> dict[str, float]:
        """When (monotonic) a rule or an element of a set with each address was committed.

        TimeoutError if one is not.
        """
        wanted = {ip_address(address).packed: address for address in addresses}
        seen: dict[str, float] = {}
        deadline = time.monotonic() + seconds
        while wanted:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            message = self._socket.recv(1 << 18)
            now = time.monotonic()
            for packed in [one for one in wanted if one in message]:
                seen[wanted.pop(packed)] = now
        return seen

    def close(self) -> None:
        self._socket.close()


class Host:
    """A daemon with a real firewalld: with Host() as host: host.append("secure", lines).

    interim: whether bans that wait for firewalld hold meanwhile.
    """

    def __init__(self, *, interim: bool = True) -> None:
        self._interim = interim
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.lab = undo.enter_context(Lab())
            self.kernel = KernelRules(self.lab)
            undo.callback(self.kernel.close)
            folder = self.lab.directory
            write_config(folder, backend="firewalld", more=_JAILS)
            if not self._interim:
                config = folder / "mailbanned.toml"
                config.write_text(
                    config.read_text().replace("[firewall]\n", "[firewall]\ninterim = false\n")
                )
            for name in ("postfix.log", "dovecot.log", "secure"):
                (folder / name).touch()
            env = {"DBUS_SYSTEM_BUS_ADDRESS": self.lab.bus_address}
            self.daemon = undo.enter_context(Running(folder, env=env, launch=self.lab.host.popen))
            self.daemon.wait(
                lambda: self.daemon.status()["firewall"]["state"] == "up", "the firewall is up"
            )
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def unban_all(self) -> None:
        """Lifts every ban, and waits until the kernel has none of them."""
        self.daemon.cli("unban", "--all")
        self.daemon.wait(lambda: not self.lab.denied(), "no rule is left", 60.0)

    def append(self, name: str, lines: list[str]) -> float:
        """Writes lines in one go; returns when (monotonic)."""
        data = "".join(f"{line}\n" for line in lines).encode()
        with (self.daemon.folder / name).open("ab", buffering=0) as log:
            now = time.monotonic()
            log.write(data)
        return now

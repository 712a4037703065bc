"""A flood of attacks while firewalld is stopped: nothing is lost, late or held in memory."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailbanned.firewall import Firewalld
from tests.real.lab import ATTACKERS4, Lab
from tests.running import Running, rcpt, sasl, ssh, stamp, write_config

pytestmark = pytest.mark.real

LINES = 60_000
JAILS = """
[jails.harvest]
source = "postfix"
filter = "postfix-rcpt-unknown"
maxretry = 1000
[jails.relay]
source = "postfix"
filter = "postfix"
maxretry = 1
bantime = "7d"
[jails.brief]
source = "postfix"
filter = "postfix-sasl"
maxretry = 1
bantime = "3s"
[jails.sshd]
source = "sshd"
filter = "sshd-unknown"
maxretry = 1
[outage]
enabled = false
"""
#: So many bans may be on their way to firewalld when a new one comes.
SLOTS = Firewalld.max_parallel
EARLY, LATE = ATTACKERS4[:2]
RELAYS = [f"198.18.200.{number}" for number in range(200)]
BRIEF = [f"198.18.201.{number}" for number in range(100)]
# Makes the lines long, so that it would show if they were held in memory: what is counted of them
# takes some 20 MB, however long they are, and they are several times as big.
PADDING = "x" * 1000
EXPECTED = {
    "harvest": LINES - len(RELAYS) - len(BRIEF),
    "relay": len(RELAYS),
    "brief": len(BRIEF),
    "sshd": 1,
}


def flood() -> bytes:
    """Refused mail from some thousand addresses, and evenly among it all that is to be banned."""
    lines = [f"{rcpt(f'198.18.{n % 20}.{n % 251}', PADDING)}\n" for n in range(LINES)]
    for number, address in enumerate(RELAYS):
        lines[number * LINES // len(RELAYS)] = f"{relay(address)}\n"
    for number, address in enumerate(BRIEF):
        lines[number * LINES // len(BRIEF) + 1] = f"{sasl(address, 'bob')}\n"
    return "".join(lines).encode()


def relay(address: str) -> str:
    """Postfix: mail that is not for us."""
    return (
        f"{stamp()} mx postfix/smtpd[4712]: NOQUEUE: reject: RCPT from unknown[{address}]: "
        f"554 5.7.1 <x@example.com>: Relay access denied; from=<a@example.net> "
        f"to=<x@example.com> proto=ESMTP helo=<x>"
    )


def memory(daemon: Running, which: str) -> int:
    """Resident memory in bytes: now (VmRSS), or at most so far (VmHWM)."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if which in line)


def counted(daemon: Running) -> dict[str, int]:
    """How many failures each jail has counted."""
    return {jail["name"]: jail["failures_total"] for jail in daemon.status()["jails"]}


def bans(daemon: Running) -> list[dict[str, Any]]:
    """All bans of all jails."""
    return [ban for jail in daemon.status()["jails"] for ban in jail["bans"]]


@pytest.fixture
def daemon(lab: Lab, tmp_path: Path) -> Iterator[Running]:
    """A daemon at work, whose firewalld has stopped."""
    write_config(tmp_path, backend="firewalld", more=JAILS)
    for name in ("postfix.log", "secure"):
        (tmp_path / name).touch()
    env = {"DBUS_SYSTEM_BUS_ADDRESS": lab.bus_address}
    with Running(tmp_path, env=env, launch=lab.host.popen) as daemon:
        daemon.wait(lambda: daemon.status()["firewall"]["state"] == "up", "the firewall is up")
        daemon.following()
        lab.stop_firewalld()
        daemon.wait(lambda: daemon.status()["firewall"]["state"] == "down", "it is down")
        yield daemon


def test_a_flood_while_firewalld_is_stopped(lab: Lab, daemon: Running) -> None:
    """The log is the buffer, another log's attack is seen meanwhile, and bans follow, new ones
    first, but none that has ended.
    """
    written = flood()
    before = memory(daemon, "VmRSS")
    with daemon.paused():  # so that it finds both at once, however fast it is
        (daemon.folder / "postfix.log").write_bytes(written)
        daemon.append("secure", ssh(EARLY))
    daemon.wait(lambda: counted(daemon) == EXPECTED, "all of the flood is counted")
    assert memory(daemon, "VmHWM") - before < len(written) / 2
    begun = {ban["address"]: ban["since"] for ban in bans(daemon)}
    first = sum(begun[f"{one}/32"] < begun[f"{EARLY}/32"] for one in RELAYS)
    assert first < len(RELAYS) / 2, "it did not wait for the end of the flood"
    daemon.wait(lambda: "brief" not in daemon.banned(), "the short bans are over")
    assert daemon.status()["firewall"]["pending"] == len(RELAYS) + 1

    lab.start_firewalld()
    daemon.wait(lab.denied, "the first bans are back in force")
    os.kill(lab.firewalld_pid, signal.SIGSTOP)
    try:
        done = len(lab.denied())
        daemon.append("secure", ssh(LATE))
        daemon.wait_banned("sshd", f"{LATE}/32")
    finally:
        os.kill(lab.firewalld_pid, signal.SIGCONT)
    wanted = {f"{one}/32" for one in (*RELAYS, EARLY, LATE)}
    daemon.wait(lambda: lab.denied() == wanted, "every ban is in force")
    daemon.wait(lambda: daemon.status()["firewall"]["pending"] == 0, "it knows that")
    banned = re.findall(r"\[(\w+)\] Ban (\S+)", daemon.log())
    assert Counter(jail for jail, _ in banned) == {"relay": len(RELAYS), "sshd": 2}
    assert banned.index(("sshd", LATE)) <= done + SLOTS, "it did not wait for the others"
    assert counted(daemon) == EXPECTED | {"sshd": 2}

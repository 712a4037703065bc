"""Journal sources with the real journalctl on the journal of a real journald."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.real.conftest import skip_or_fail
from tests.real.journald import Journald
from tests.sources.journals import Sources
from tests.sources.rig import until

pytestmark = pytest.mark.real

DOVECOT = "SYSLOG_IDENTIFIER=dovecot"


@pytest.fixture
def journald() -> Iterator[Journald]:
    try:
        journald = Journald()
    except FileNotFoundError as error:
        skip_or_fail(str(error))
    with journald:
        yield journald


class Host:
    """Two sources on that journal, and what was written for them so far."""

    def __init__(self, journald: Journald) -> None:
        self.journald = journald
        self.sources = Sources(journald.journalctl, root=journald.root)
        self.sources.since = 0.0
        self.wanted: dict[str, list[str]] = {"sshd": [], "dovecot": []}

    def start(self) -> None:
        self.sources.start("sshd", "sshd.service")
        self.sources.start("dovecot", DOVECOT)

    def log(self, name: str, message: str) -> None:
        self.journald.log(name, message)
        self.wanted[name].append(message)

    def log_both(self, message: str) -> None:
        for name in self.wanted:
            self.log(name, f"{name} {message}")

    async def have_all(self) -> None:
        """Waits until the sources have as many lines as were written; they have to be the same."""
        for name, wanted in self.wanted.items():
            await until(partial(self._has, name, len(wanted)))
            assert self.sources.messages(name) == wanted

    def _has(self, name: str, count: int) -> bool:
        return len(self.sources.messages(name)) >= count


@pytest.fixture
def host(journald: Journald) -> Host:
    return Host(journald)


async def test_sshd_is_followed_and_nobody_else(host: Host) -> None:
    """Lines of sshd and its helpers come at once; forged ones and other programs' never do."""
    log = host.journald.log
    for number in range(20):
        host.log("sshd", f"old {number}")
    host.start()
    async with host.sources.reading():
        await host.have_all()
        for identifier in ("sshd", "sshd-session", "sshd-auth", "dovecot"):
            log(identifier, "forged", by_root=False)
        log("postfix", "another program")
        log("sshd-session", "Invalid user x\ty from 192.0.2.1 port 22")
        log("sshd-auth", "Connection closed")
        host.wanted["sshd"] += ["Invalid user x\ty from 192.0.2.1 port 22", "Connection closed"]
        host.log_both("last")
        await host.have_all()
    blocks = host.sources.blocks["sshd"]
    assert blocks[-1].live
    assert not blocks[0].live


async def rotate(host: Host) -> None:
    host.journald.rotate()


async def vacuum(host: Host) -> None:
    await host.have_all()
    host.journald.rotate()
    host.journald.vacuum()


async def restart(host: Host) -> None:
    host.journald.restart()


async def kill_journalctl(host: Host) -> None:
    (pid,) = _children("journalctl")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: _children("journalctl") not in ([], [pid]))


async def another_source(host: Host) -> None:
    (pid,) = _children("journalctl")
    if "mail" in host.sources.sources:
        await host.sources.stop("mail")
    else:
        host.sources.start("mail", "postfix")
    await until(lambda: _children("journalctl") not in ([], [pid]))


TROUBLES = [rotate, vacuum, restart, kill_journalctl, another_source]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_what_happens_while_reading(
    host: Host, trouble: Callable[[Host], Awaitable[None]]
) -> None:
    """Through each trouble, twice, every line comes once; sources resume at different places."""
    host.start()
    async with host.sources.reading():
        host.log_both("before")
        await host.have_all()
        for number in range(2):
            host.log("sshd", f"ssh {number}")
            await trouble(host)
            host.log_both(f"after {number}")
            await host.have_all()


@pytest.mark.parametrize("trouble", TROUBLES[:3])
async def test_what_happens_while_stopped(
    host: Host, trouble: Callable[[Host], Awaitable[None]]
) -> None:
    """After each trouble that came while nobody read, every line comes once."""
    for number in range(3):
        host.start()
        async with host.sources.reading():
            host.log("dovecot", f"only dovecot {number}")
            host.log_both(f"read {number}")
            for late in range(number):
                host.log("dovecot", f"dovecot {number} {late}")
            await host.have_all()
        await trouble(host)
        host.log("sshd", f"unread {number}")
        host.log_both(f"unread, too {number}")
    host.start()
    async with host.sources.reading():
        await host.have_all()


async def test_what_was_read_and_vacuumed(host: Host) -> None:
    """Marks whose records are deleted lead to the next records that are left."""
    host.start()
    async with host.sources.reading():
        host.log_both("one")
        host.log("sshd", "two")
        await host.have_all()
    host.journald.log("sshd", "gone")
    await vacuum(host)
    host.log("dovecot", "three")
    host.log("sshd", "four")
    host.start()
    async with host.sources.reading():
        await host.have_all()


async def test_one_source_more_and_one_less(host: Host) -> None:
    """A mark of a record that is no longer among what is asked for leads to what comes after."""
    host.start()
    async with host.sources.reading():
        host.log_both("one")
        await host.have_all()
        mark = host.sources.marks("dovecot")
    host.log("sshd", "two")
    cursor = mark[f"journal {DOVECOT}"]
    host.sources.start("sshd", "sshd", marks={"journal sshd.service": cursor})
    async with host.sources.reading():
        await until(lambda: host.sources.messages("sshd") == host.wanted["sshd"])


def _children(name: str) -> list[int]:
    """Processes of this name that this process started."""
    found = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it may end while it is looked at
            for pid in map(int, task.read_text().split()):
                if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                    found.append(pid)
    return found

"""Ends the connections that banned subjects still have open, with iproute2's `ss -K`.

No firewall rule ends an established connection. One call ends those of many subjects, half-open
ones included, and those of IPv4 peers on IPv6 sockets. The kernel sends the peer a reset.

Connections of a new ban are cut at once; those of bans that come during a cut, together in the
next. Bans that are restored after a loss come back one by one, hundreds of them: each cut searches
all sockets of the host, so these wait for each other for a moment.

Known limits: only sockets of our own network namespace are reached, so none of containers. Until a
first connection was cut, it is an assumption that the kernel is able to do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from mailbanned.address import Network, Subject
from mailbanned.firewall.base import FirewallRefused, network_to_ban
from mailbanned.log import Condition, get_logger
from mailbanned.subprocesses import run

#: Ends live connections of the subjects.
CutSessions = Callable[[Collection[Subject]], Awaitable[None]]

_log = get_logger("firewall")

_GATHER_S = 0.5  # how long a cut that is not urgent waits for more subjects

# The kernel takes filters of at most 64 KiB; this number of subjects needs a quarter of it.
_SUBJECTS_PER_CALL = 500

# No header, TCP, numbers instead of names; every connection that may still carry data.
_LIST = ("-Htn", "state", "connected", "exclude", "time-wait")
_KILL = ("-HtnK", *_LIST[1:])


class ConnectionCutter:
    """Collects subjects, and cuts their connections in `run`. cut: None leaves all connections."""

    def __init__(self, cut: CutSessions | None) -> None:
        self._cut = cut
        self._subjects: set[Subject] = set()
        self._due = asyncio.Event()
        self._urgent = asyncio.Event()

    def request(self, subject: Subject, *, urgent: bool = True) -> None:
        """Requests a cut of a subject whose packets are dropped from now on.

        urgent: at once; else within half a second, or with the next urgent cut.
        """
        if self._cut is not None:
            self._subjects.add(subject)
            self._due.set()
            if urgent:
                self._urgent.set()

    async def run(self) -> None:
        """Cuts until cancelled."""
        if self._cut is None:
            return
        while True:
            await self._due.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GATHER_S):
                    await self._urgent.wait()
            self._due.clear()
            self._urgent.clear()
            subjects, self._subjects = self._subjects, set()
            await self._cut(subjects)


class Sessions:
    """Ends connections with `ss`.

    command: the program's name or path.
    timeout: seconds that a cut may take.
    """

    def __init__(self, command: str = "ss", timeout: float = 10.0) -> None:
        self._command = command
        self._timeout = timeout
        self._is_proven = False  # whether a connection was cut
        self._problem = ""
        self._condition = Condition(_log)

    def state(self) -> str:
        """Returns "ready", or "unable: " and the reason, until a connection was cut again."""
        return f"unable: {self._problem}" if self._problem else "ready"

    async def cut(self, subjects: Collection[Subject]) -> None:
        """Ends all connections of the subjects. "Nothing to cut" is success.

        Subjects that must not be banned are left alone. Never raises: without the program, the
        capability (CAP_NET_ADMIN) or the kernel's support the connections go on, which is logged
        once and shown by `state`.
        """
        remaining = _networks(subjects)
        while batch := list(islice(remaining, _SUBJECTS_PER_CALL)):
            self._problem = await self._cut(batch)
            if self._problem:
                self._condition.report(
                    f"cannot cut connections of banned addresses: {self._problem}"
                )
            else:
                self._condition.clear("connections of banned addresses are cut again")

    async def _cut(self, networks: Sequence[Network]) -> str:
        """Cuts, and returns what is wrong, "" if nothing is."""
        peers = _peers(networks)
        try:
            async with asyncio.timeout(self._timeout):
                ended, complaint = await self._run(*_KILL, peers)
                if complaint:
                    return _explain(complaint)
                if ended:
                    self._is_proven = True
                    return ""
                if not self._is_proven and (await self._run(*_LIST, peers))[0]:
                    return "the kernel is built without INET_DIAG_DESTROY"
        except TimeoutError:
            return f"{self._command} did not end in {self._timeout:g} s"
        except OSError as error:
            return f"{self._command} (package iproute2 or iproute) cannot be run: {error.strerror}"
        return self._problem  # there was nothing to cut, which proves nothing

    async def _run(self, *arguments: str) -> tuple[str, str]:
        """Returns what `ss` prints on its output, and on its error output."""
        completed = await run(self._command, *arguments)
        return completed.output.decode(errors="replace").strip(), completed.complaint


def _networks(subjects: Collection[Subject]) -> Iterator[Network]:
    for subject in subjects:
        with suppress(FirewallRefused):
            yield network_to_ban(subject)


def _peers(networks: Sequence[Network]) -> str:
    """Returns the filter that matches connections of these networks and no others.

    It is never empty: with an empty filter, `ss -K` ends every connection of the host.
    """
    assert networks
    peers = (f"dst [{net}]" if net.version == 6 else f"dst {net}" for net in networks)
    return f"( {' or '.join(peers)} )"


def _explain(complaint: str) -> str:
    if "not permitted" in complaint:
        return "it needs the capability CAP_NET_ADMIN"
    return f"ss says: {complaint.splitlines()[0][:200]}"

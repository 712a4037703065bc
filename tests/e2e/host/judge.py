"""Judges from the attacker's side: when did the host stop to answer him?

A probe knocks at a port of the host, from each of its addresses every few milliseconds. How long
after the deciding answer the first knock stayed unanswered is a reaction time; it is too long by
the pause between two knocks of an address at most. It includes what the servers and their logs
need. Silence alone proves nothing: a witness, which no test bans, must have had an answer to a
later knock. How fast the host was is printed at the end, and not judged.
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import inf
from pathlib import Path
from statistics import median, quantiles
from typing import Self

from tests.e2e.host.boot import HOST4, HOST6, WITNESS, Host
from tests.e2e.host.mailhost import ECHO
from tests.waiting import HANG_S

_PAUSE_S = 0.002  # between two knocks, or between two looks
_MANY = 8  # from so many addresses it is half of that
_SILENT_S = 0.3  # a knock that is not answered by then, while the witness is, will not be
_WITNESS_S = 0.05  # between two knocks of the witness
_CLONE_NEWNET = 0x40000000
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)

_reactions: dict[str, list[float]] = defaultdict(list)


class Probe:
    """with Probe(host, addresses) as probe: ...; probe.closed(address)"""

    def __init__(self, host: Host, addresses: Iterable[str]) -> None:
        self._host = host
        # When the newest knock was sent that was answered, and the first one after it.
        self._answered: dict[str, float] = dict.fromkeys(addresses, 0.0)
        # Knocking costs the host, too: where there are very many addresses, a round takes longer.
        self._pause = _PAUSE_S if len(self._answered) < _MANY else _PAUSE_S / 2
        self._silent: dict[str, float] = {}
        self._witnessed = 0.0  # when the newest knock of the witness was sent that was answered
        self._waiting: dict[int, tuple[socket.socket, str, float]] = {}
        self._stopped = threading.Event()
        self._poll = select.epoll()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._listener = self._host.namespace.socket(socket.AF_INET6)
        self._listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("", ECHO))
        self._listener.listen(4096)
        self._listener.setblocking(False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        for waiting in self._waiting.values():
            waiting[0].close()
        self._listener.close()
        self._poll.close()

    def answers(self, address: str) -> bool:
        """Whether a knock from that address, sent after this call, is answered."""
        now = time.monotonic()
        deadline = now + HANG_S
        while time.monotonic() < deadline:
            if self._answered[address] > now:
                return True
            if self._refused(max(now, self._silent.get(address, inf))):
                return False
            time.sleep(_PAUSE_S)
        return False

    def _refused(self, sent: float) -> bool:
        """Whether a knock that has no answer yet gets none: the witness has, who knocked later."""
        return sent + _SILENT_S < self._witnessed

    def last_answer(self, address: str) -> float:
        """When the newest knock from that address was sent that was answered; 0.0 if none was."""
        return self._answered[address]

    def closed(self, address: str) -> float:
        """Waits until the host has stopped to answer an address; when that was.

        Raises AssertionError if it goes on answering.
        """
        deadline = time.monotonic() + HANG_S
        while time.monotonic() < deadline:
            since = self._silent.get(address, inf)
            if self._refused(since):
                return since
            time.sleep(_PAUSE_S)
        raise AssertionError(f"the host still answers {address} after {HANG_S:g} s")

    def _run(self) -> None:
        """Knocks from one address after the other, until it is told to stop."""
        _enter(self._host.internet.name)
        self._poll.register(self._listener, select.EPOLLIN)
        due = witness = time.monotonic()
        while not self._stopped.is_set():
            for address in self._answered:
                self._knock(address)
                due += self._pause
                while (left := due - time.monotonic()) > 0:
                    for number, _ in self._poll.poll(left):
                        self._hear(number)
                due = max(due, time.monotonic() - self._pause)
            if time.monotonic() > witness:
                self._knock(WITNESS)
                witness = time.monotonic() + _WITNESS_S
            self._give_up()

    def _knock(self, address: str) -> None:
        family, door = (socket.AF_INET6, HOST6) if ":" in address else (socket.AF_INET, HOST4)
        knock = socket.socket(family, socket.SOCK_STREAM)
        knock.setblocking(False)
        knock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        knock.bind((address, 0))
        sent = time.monotonic()
        if knock.connect_ex((door, ECHO)) not in (0, errno.EINPROGRESS):
            knock.close()
            return
        self._waiting[knock.fileno()] = knock, address, sent
        if address != WITNESS and sent > self._answered[address]:
            self._silent.setdefault(address, sent)
        self._poll.register(knock, select.EPOLLOUT)

    def _hear(self, number: int) -> None:
        if number == self._listener.fileno():
            with suppress(OSError):  # it may have been given up meanwhile
                self._listener.accept()[0].close()
            return
        knock, address, sent = self._waiting.pop(number)
        self._poll.unregister(number)  # closing is not enough while a child of ours has it, too
        if knock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
            pass
        elif address == WITNESS:
            self._witnessed = max(sent, self._witnessed)
        else:
            self._answered[address] = max(sent, self._answered[address])
            if sent >= self._silent.get(address, sent):
                self._silent.pop(address, None)
        knock.close()

    def _give_up(self) -> None:
        """Forgets the knocks that nobody will answer, before the kernel knocks once more."""
        old = time.monotonic() - 2 * _SILENT_S
        for number, (knock, _, sent) in list(self._waiting.items()):
            if sent > old:
                return
            del self._waiting[number]
            self._poll.unregister(number)
            knock.close()


def judge(scenario: str, decided: Mapping[str, float], probe: Probe) -> None:
    """Every address must be shut out after the moment that decided; notes how fast it was."""
    for address, at in decided.items():
        _reactions[scenario].append(probe.closed(address) - at)


def summary() -> list[str]:
    """How fast the host was, one line for each scenario and one for all."""
    rows = {**_reactions, "all": [took for all_of in _reactions.values() for took in all_of]}
    head = f"{'scenario':40} {'n':>4} {'median':>8} {'p95':>8} {'worst':>8} {'<100 ms':>8}"
    return [head, *(_row(name, times) for name, times in rows.items() if times)]


def _row(name: str, times: list[float]) -> str:
    p95 = quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
    figures = " ".join(f"{1000 * one:5.0f} ms" for one in (median(times), p95, max(times)))
    soon = sum(took < 0.1 for took in times) / len(times)
    return f"{name:40} {len(times):4} {figures} {soon:8.0%}"


def _enter(namespace: str) -> None:
    """Takes this thread into a network namespace, for good."""
    with Path("/run/netns", namespace).open() as handle:
        if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")

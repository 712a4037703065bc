"""A daemon that is killed at any moment of an attack: its bans hold in a real firewalld."""

from __future__ import annotations

import random
import re
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mailbanned.control import ControlError, ask
from tests.real.lab import ZONE, Lab
from tests.running import Running, rcpt, ssh, stamp, write_config

pytestmark = pytest.mark.real

SEED = 1
KILLS = 3
BANNED, SPARED = 3, 2
BRIEF_S = 1.5
JAILS = f"""
[jails.harvest]
source = "postfix"
filter = "postfix-rcpt-unknown"
maxretry = {BANNED}
bantime = "7d"
[jails.brief]
source = "sshd"
filter = "sshd-unknown"
maxretry = 1
bantime = "{BRIEF_S:g}s"
"""

Ends = dict[str, float]


class Attack(threading.Thread):
    """Fails all the time: harvesters BANNED or SPARED times, and others once, for a brief ban.

    failures: how often each harvester failed. brief: the others.
    """

    def __init__(self, daemon: Running) -> None:
        super().__init__()
        self.failures: Counter[str] = Counter()
        self.brief: list[str] = []
        self.stop = threading.Event()
        self._daemon = daemon
        self._chance = random.Random(SEED)

    def run(self) -> None:
        turns: list[str] = []
        made = 0
        while turns or not self.stop.is_set():
            if len(turns) < 30 and not self.stop.is_set():
                times = self._chance.choice([BANNED, SPARED])
                turns += [f"198.18.{made // 250}.{made % 250 + 1}"] * times
                made += 1
                self._chance.shuffle(turns)
                continue
            self._fail(turns.pop())
            if self._chance.random() < 0.4 and not self.stop.is_set():
                self.brief.append(f"198.19.{len(self.brief) // 250}.{len(self.brief) % 250 + 1}")
                self._daemon.append("secure", _stamped(ssh(self.brief[-1])))
            self.stop.wait(self._chance.uniform(0.0, 0.1))

    def _fail(self, address: str) -> None:
        self._daemon.append("postfix.log", _stamped(rcpt(address, "x@example.org")))
        self.failures[address] += 1


def _stamped(line: str) -> str:
    """The line with a time stamp that is exact."""
    return datetime.now().astimezone().isoformat() + line[len(stamp()) :]


class Mortal(Running):
    """A daemon that is looked at often, and so through its socket."""

    lives = 0

    def start(self) -> None:
        """Starts it; returns when it has compared the firewall with its bans."""
        self.lives += 1
        super().start()
        self.wait(lambda: self.log().count("firewall is up") == self.lives, "the firewall is up")

    def status(self) -> dict[str, Any]:
        try:
            document: dict[str, Any] = ask(self.folder / "control.sock", "status")
        except ControlError:
            return {}
        return document

    def saved(self) -> Ends:
        """Who stands in the state file until when; only while the daemon runs."""
        with closing(sqlite3.connect(f"file:{self.folder}/state.db?mode=ro", uri=True)) as state:
            return dict(state.execute("SELECT subject, until FROM bans").fetchall())

    def ends(self) -> Ends:
        """Who is banned until when, as the daemon says."""
        return {
            ban["address"]: _epoch(ban["until"])
            for jail in self.status()["jails"]
            for ban in jail["bans"]
        }

    def has_caught_up(self) -> bool:
        """Whether no ban waits for the firewall."""
        return bool(self.status()["firewall"]["pending"] == 0)

    def reported(self) -> list[tuple[str, float]]:
        """Of whom the daemon said that the ban is in force, and until when."""
        said = re.findall(r"\] Ban (\S+) .*\buntil=(\S+)", self.log())
        return [(f"{address}/32", _epoch(until)) for address, until in said]


class Watch:
    """Looks at the kernel and at the daemon, and remembers the end of every ban."""

    def __init__(self, lab: Lab, daemon: Mortal) -> None:
        self.ends: Ends = {}
        self._lab = lab
        self._daemon = daemon

    def learn(self, ends: Ends) -> None:
        """No ban's end is another than before."""
        for subject, end in ends.items():
            assert self.ends.setdefault(subject, end) == pytest.approx(end, abs=1e-3), subject

    def overdue(self) -> set[str]:
        """Who is kept out although the ban has ended."""
        now = time.time()
        return {one for one in self._lab.denied() if self.ends.get(one, now) < now}

    def lets_in(self) -> None:
        """Waits until those who are overdue now are let in; others may come due meanwhile."""
        late = self.overdue()
        self._daemon.wait(lambda: not late & self._lab.denied(), "bans end that are over")

    def attack_goes_on(self, seconds: float) -> None:
        """Lets some time pass, until a brief ban is saved; meanwhile every ban that is due ends."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.learn(self._daemon.saved())
            self.lets_in()
        self._daemon.wait(lambda: self._brief(self._daemon.saved()), "a brief ban is saved")

    @staticmethod
    def _brief(ends: Ends) -> list[float]:
        return [end for subject, end in ends.items() if not _is_harvester(subject)]

    def kill(self, pause: bool) -> None:
        """Kills the daemon and starts another: at once, or when all brief bans have ended."""
        saved = self._daemon.saved()
        assert self._daemon.stop(signal.SIGKILL) == -signal.SIGKILL
        self.learn(saved)
        kept = self._lab.denied()
        if pause:
            last = max(self._brief(saved), default=0.0)
            self._daemon.wait(lambda: time.time() > last, "all brief bans have ended")
        self._daemon.start()
        denied, now = self._lab.denied(), time.time()
        self.learn({one: end for one, end in self._daemon.ends().items() if one in saved})
        lifted = {one for one in kept & saved.keys() if saved[one] > now} - denied
        assert not lifted, "they were in force before the kill"
        back = {one for one in kept | saved.keys() if _is_harvester(one)}
        self._daemon.wait(lambda: back <= self._lab.denied(), "all bans of before are in force")
        self._daemon.wait(self._daemon.has_caught_up, "what came meanwhile is done")
        self.lets_in()


def _is_harvester(subject: str) -> bool:
    return subject.startswith("198.18.")


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@pytest.fixture
def daemon(lab: Lab, tmp_path: Path) -> Iterator[Mortal]:
    write_config(tmp_path, backend="firewalld", more=JAILS)
    for name in ("postfix.log", "secure"):
        (tmp_path / name).touch()
    env = {"DBUS_SYSTEM_BUS_ADDRESS": lab.bus_address}
    with Mortal(tmp_path, env=env, launch=lab.host.popen) as daemon:
        daemon.following()
        yield daemon


def test_bans_outlive_every_kill(lab: Lab, daemon: Mortal) -> None:
    """Killed again and again, it lifts no ban before its end, keeps none longer, moves no end,
    bans nobody twice, and nobody who does not deserve it.
    """
    chance = random.Random(-SEED)
    watch = Watch(lab, daemon)
    attack = Attack(daemon)
    began = time.time()
    attack.start()
    try:
        for number in range(KILLS):
            watch.attack_goes_on(chance.uniform(0.5, 1.2))
            watch.kill(pause=number % 2 == 1)
    finally:
        attack.stop.set()
        attack.join()
    took = time.time() - began
    banned = {f"{one}/32" for one, times in attack.failures.items() if times == BANNED}
    daemon.wait(lambda: lab.denied() == banned, "exactly those are in force in the end")
    watch.learn(daemon.ends())
    for subject, end in daemon.reported():
        # A ban that was not saved yet is decided again, from the stamp of its line; the first time
        # the line counted as it was read. Both were during the attack.
        assert watch.ends.get(subject, end) == pytest.approx(end, abs=took)
    rules = lab.host.exec("nft", "list", "chain", "inet", "firewalld", f"filter_IN_{ZONE}_deny")
    assert rules.count(" drop") == len(banned)
    assert daemon.stop() == 0
    with closing(sqlite3.connect(daemon.folder / "state.db")) as state:
        entered = Counter(one for (one,) in state.execute("SELECT subject FROM history"))
    assert set(entered.values()) == {1}
    assert set(filter(_is_harvester, entered)) == banned

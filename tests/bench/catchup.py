"""A daemon that was away for long: how fast it catches up, and whether other logs wait for that.

MAILBANNED_BENCH_MB is the size of the log it has to read, 1000 if it is not set.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import tempfile
import time
from datetime import datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, NamedTuple

from mailbanned.control import ControlError
from mailbanned.control.client import ask
from tests.bench.replay import speed, write_log
from tests.bench.table import Row, measured, median, share, spread
from tests.running import Running, sasl, ssh, stamp, write_config

_MB = int(os.environ.get("MAILBANNED_BENCH_MB", "1000"))
_SHORT_MB = 500
_LINE_BYTES = 117
_ROUNDS, _SHORT_ROUNDS = 3, 1
_ATTACKS = 0.05
_STAMP = len(stamp())
_LOOK_S = 0.5
# Behind by less than this, it is looked at ten times as often: the end is to be seen when it comes.
_NEAR = 50_000_000
_POSTFIX = ("postfix", "postfix-sasl", "postfix-rcpt-unknown")
_PROBED = "sshd-unknown"
# Where a host has them: not where the daemon writes, which watches the directories of its logs.
_POSTFIX_LOG, _SECURE = "logs/postfix.log", "logs/secure"
_JAILS = "".join(
    f'[jails.{name}]\nsource = "{source}"\nfilter = "{name}"\nmaxretry = {maxretry}\n'
    for name, source, maxretry in (*((n, "postfix", 3) for n in _POSTFIX), (_PROBED, "sshd", 1))
)
_PROBES = IPv4Network("198.18.0.0/15")
_BAN = re.compile(r"^(\S+) warning \[sshd-unknown\] Ban (\S+)", re.MULTILINE)


class Daemon(Running):
    """A daemon that is asked through its socket, and for one jail only, one without bans of probes:
    that costs it least.
    """

    def status(self) -> dict[str, Any]:
        try:
            document: dict[str, Any] = ask(
                self.folder / "control.sock", "status", {"jail": _POSTFIX[0]}
            )
        except ControlError:
            return {}
        return document

    def postfix(self) -> dict[str, Any]:
        """The state of the log that is caught up with."""
        return self.source("postfix")


class Caught(NamedTuple):
    """One time: lines a second, and how long (ms) the lines of another log took to their bans."""

    speed: float
    delays: list[float]


def _grow(log: Path, folder: Path, wanted: int) -> int:
    """Adds a day of a busy host to a log, up to a minute ago; returns how many lines.

    The lines of two hours are used again and again, under new time stamps: no address comes back
    within an hour just for that.
    """
    part = folder / "part"
    write_log(part, wanted // 12, _ATTACKS)
    texts = [line[_STAMP:] for line in part.read_bytes().splitlines(keepends=True)]
    at_once = max(1, wanted // 86400)
    groups = [
        b"".join(b"\0" + text for text in texts[first : first + at_once])
        for first in range(0, len(texts) - at_once + 1, at_once)
    ]
    moments = wanted // at_once
    end = time.time() - 60
    with log.open("ab") as file:
        for number in range(moments):
            moment = stamp(end - 86400 * (moments - number) / moments).encode()
            file.write(groups[number % len(groups)].replace(b"\0", moment))
    return moments * at_once


def _configured(folder: Path) -> Path:
    """A configuration with the logs in a folder of their own."""
    config = write_config(folder, more=_JAILS)
    (folder / "logs").mkdir()
    config.write_text(re.sub(r"/(postfix\.log|secure)\"", r'/logs/\1"', config.read_text()))
    return config


def _saved_position(folder: Path) -> Path:
    """Lets a daemon read the one line that the log has; returns the folder of its state."""
    Daemon(folder).append(_POSTFIX_LOG, sasl("192.0.2.1", "info@example.org"))
    (folder / _SECURE).touch()
    with Daemon(folder) as daemon:
        daemon.wait(lambda: daemon.postfix().get("lines") == 1, "the first line is read")
    kept = folder / "kept"
    kept.mkdir()
    for file in folder.glob("state.db*"):
        shutil.copy2(file, kept)
    return kept


def _catch_up(folder: Path, kept: Path, lines: int, round_: int) -> Caught:
    """Starts at the saved position; meanwhile writes to another log, at random moments."""
    for file in (*folder.glob("state.db*"), folder / _SECURE, folder / "daemon.log"):
        file.unlink()
    for file in kept.iterdir():
        shutil.copy2(file, folder)
    (folder / _SECURE).touch()
    chance = random.Random(round_)
    written: dict[str, float] = {}
    looks: list[tuple[float, int]] = []
    with Daemon(folder) as daemon:
        daemon.wait(daemon.postfix, "the log is followed")
        while True:
            state = daemon.postfix()
            if state["lag_bytes"] == 0 and looks:
                break
            looks.append((time.monotonic(), state["lines"]))
            pause = _LOOK_S if state["lag_bytes"] > _NEAR else _LOOK_S / 10
            while time.monotonic() < looks[-1][0] + pause:
                time.sleep(0.01 + chance.random() * 0.04)
                address = str(_PROBES[len(written)])
                line = ssh(address)
                written[address] = time.time()
                daemon.append(_SECURE, line)
        daemon.wait(lambda: f"Ban {address}" in daemon.log(), "the last line is decided")
        assert state["lines"] == lines, f"{state['lines']} of {lines} lines were read"
        bans = {address: datetime.fromisoformat(at) for at, address in _BAN.findall(daemon.log())}
    delays = [(bans[one].timestamp() - at) * 1000 for one, at in written.items()]
    (began, first), (ended, last) = looks[0], looks[-1]
    assert len(looks) > 2, "it was too fast for that; set MAILBANNED_BENCH_MB to more"
    return Caught((last - first) / (ended - began), delays)


def run(short: bool = False) -> list[Row]:
    """The daemon and `mailbanned test` in turn, on the same log with the same jails."""
    wanted = (_SHORT_MB if short else _MB) * 1_000_000 // _LINE_BYTES
    times, tests = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = _configured(folder)
        kept = _saved_position(folder)
        log = folder / _POSTFIX_LOG
        lines = _grow(log, folder, wanted)
        for round_ in range(_SHORT_ROUNDS if short else _ROUNDS):
            times.append(_catch_up(folder, kept, lines, round_))
            tests.append(speed(log, _POSTFIX, ["-c", str(config)]))
        size = log.stat().st_size / 1e6
    speeds = [one.speed for one in times]
    ratios = [ours / test for ours, test in zip(speeds, tests, strict=True)]
    delays = [delay for one in times for delay in one.delays]
    other = "meanwhile, another log's line to its ban"
    return [
        measured("log", "the log", size, "MB", "", f"{lines:,} lines, {_ATTACKS:.0%} attacks"),
        measured("daemon", "daemon catching up", median(speeds), "/s", "", spread(speeds, "/s", 0)),
        measured("test", "mailbanned test", median(tests), "/s", "", spread(tests, "/s", 0)),
        measured("ratio", "catching up / test", median(ratios), "", ">= 0.70", spread(ratios, "")),
        measured("other.p50", f"{other}, p50", median(delays), "ms"),
        measured("other.p99", f"{other}, p99", share(delays, 0.99), "ms", "<= 100 ms"),
        measured(
            "other.worst", f"{other}, worst", max(delays), "ms", "<= 100 ms", f"of {len(delays)}"
        ),
    ]

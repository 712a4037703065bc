"""`mailbanned test` with the four postfix jails over a long log, against plain `re` and grep."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailbanned.config import SHIPPED
from tests.bench.table import Row, left_out, measured, median, spread

_PAIRS = 5
_JAILS = ("postfix", "postfix-sasl", "postfix-sasl-unknown", "postfix-rcpt-unknown")


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many lines are read: by ours alone, by ours beside fail2ban, and by fail2ban; how often.

    Ours needs long logs, for it takes a while to get up to its speed.
    """

    alone: int
    ours: int
    peer: int
    rounds: int


_LONG, _SHORT = Lengths(1_000_000, 100_000, 100_000, 3), Lengths(100_000, 100_000, 20_000, 1)

_QUIET = (
    "postfix/smtpd[{p}]: connect from mail.example.net[192.0.2.{b}]",
    "postfix/smtpd[{p}]: disconnect from mail.example.net[192.0.2.{b}] ehlo=2 starttls=1 mail=1 "
    "rcpt=1 data=1 quit=1 commands=7",
    "postfix/cleanup[{p}]: 4XyZ{p}: message-id=<{p}.{b}@example.net>",
    "postfix/qmgr[912]: 4XyZ{p}: from=<news@example.net>, size=48{b}, nrcpt=1 (queue active)",
    "postfix/lmtp[{p}]: 4XyZ{p}: to=<info@example.org>, relay=dovecot[private/lmtp], delay=0.4, "
    "delays=0.3/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 <info@example.org> Saved)",
    "postfix/qmgr[912]: 4XyZ{p}: removed",
)
_ATTACKS = (
    "postfix/submission/smtpd[{p}]: warning: unknown[{a}]: SASL LOGIN authentication failed: "
    "(reason unavailable), sasl_username=user{p}@example.org",
    "postfix/smtpd[{p}]: NOQUEUE: reject: RCPT from unknown[{a}]: 550 5.1.1 <x{p}@example.org>: "
    "Recipient address rejected: User unknown in virtual mailbox table; from=<a@example.net> "
    "to=<x{p}@example.org> proto=ESMTP helo=<[{a}]>",
    "postfix/smtpd[{p}]: NOQUEUE: reject: RCPT from unknown[{a}]: 554 5.7.1 <x{p}@example.com>: "
    "Relay access denied; from=<a@example.net> to=<x{p}@example.com> proto=SMTP helo=<x>",
)
_PLAIN = (
    rb"postfix/\S*smtpd\[\d+\]: warning: \S+\[([\d.]+)\]: SASL \S+ authentication failed",
    rb"postfix/\S*smtpd\[\d+\]: NOQUEUE: reject: RCPT from \S+\[([\d.]+)\]: 550 5\.1\.1 ",
    rb"postfix/\S*smtpd\[\d+\]: NOQUEUE: reject: \S+ from \S+\[([\d.]+)\]: 5",
)

# The filter of a known how-to for recipient harvests; fail2ban ships none.
_HARVEST = r"""[Definition]
failregex = reject: RCPT from \S+\[<HOST>\][^:]*: 550 5\.1\.1 \S+: Recipient address rejected: User
datepattern = %%b %%d %%H:%%M:%%S
              {^LN-BEG}
"""


def write_log(path: Path, lines: int, attacks: float) -> None:
    """A Postfix log over a day with a share of attack lines from some 2,000 addresses."""
    chance = random.Random(7)
    with path.open("w") as log:
        for number in range(lines):
            second = number * 86400 // lines
            stamp = f"May  1 {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
            kind = chance.choice(_ATTACKS if chance.random() < attacks else _QUIET)
            address = f"203.0.{chance.randrange(8)}.{chance.randrange(1, 255)}"
            text = kind.format(p=chance.randrange(1000, 9999), a=address, b=number % 250)
            log.write(f"{stamp} mx {text}\n")


def _start(path: Path, lines: int, into: Path) -> None:
    """Copies the first lines of the log: as dense in time, but fail2ban takes a minute less."""
    with path.open("rb") as log:
        into.write_bytes(b"".join(next(log) for _ in range(lines)))


def run(short: bool = False) -> list[Row]:
    """Lines a second at 5 % and at 90 % attack lines, beside fail2ban; the price of more jails."""
    lengths = _SHORT if short else _LONG
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "postfix.log"
        for attacks, aim, times in ((0.05, 1_000_000, 30), (0.9, 150_000, 8)):
            write_log(path, lengths.alone, attacks)
            rows += _compare(path, lengths, attacks, aim)
            rows.append(_beside_fail2ban(path, lengths, attacks, times))
        write_log(path, lengths.alone, 0.0)
        rows.append(_doubled(path, folder))
    return rows


def speed(path: Path, jails: Sequence[str], config: Sequence[str] = ()) -> float:
    """Lines a second of `mailbanned test`, as it says itself."""
    chosen = [word for name in jails for word in ("--jail", name)]
    program = str(Path(sys.executable).with_name("mailbanned"))
    command = [program, *config, "test", "--json", *chosen, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    document = json.loads(result.stdout)
    return float(document["lines"] / document["seconds"])


def _compare(path: Path, lengths: Lengths, attacks: float, aim: int) -> list[Row]:
    ours, grep, plain = [], [], []
    lines = lengths.alone
    for _ in range(lengths.rounds):
        ours.append(speed(path, _JAILS))
        began = time.perf_counter()
        subprocess.run(["grep", "-c", "-e", "SASL", "-e", "reject:", path], capture_output=True)
        grep.append(lines / (time.perf_counter() - began))
        plain.append(lines / _plain(path))
    key, label = f"attacks{attacks * 100:.0f}", f"{attacks:.0%} attacks"
    multiple = f"ours is {median(ours) / median(plain):.2f} times that"
    return [
        measured(
            f"{key}.test",
            f"test, four jails, {label}",
            median(ours),
            "/s",
            f">= {aim:,}/s",
            spread(ours, "/s", 0),
        ),
        measured(
            f"{key}.re", f"a loop with three `re`, {label}", median(plain), "/s", "", multiple
        ),
        measured(
            f"{key}.grep", f"grep -c of two words, {label}", median(grep), "/s", "", "the floor"
        ),
    ]


def _beside_fail2ban(path: Path, lengths: Lengths, attacks: float, times: int) -> Row:
    """fail2ban-regex once for each of the four jails, ours once for all, on the same log."""
    key, what = f"attacks{attacks * 100:.0f}.times", f"test / fail2ban-regex, {attacks:.0%} attacks"
    aim = f">= {times} times"
    if shutil.which("fail2ban-regex") is None:
        return left_out(key, what, "times", aim, "fail2ban is not installed")
    harvest = path.with_name("rcpt.conf")
    harvest.write_text(_HARVEST)
    auth = "/etc/fail2ban/filter.d/postfix.conf[mode=auth]"
    filters = ["/etc/fail2ban/filter.d/postfix.conf", auth, auth, str(harvest)]
    ours_log, peer_log = path.with_name("ours.log"), path.with_name("peer.log")
    _start(path, lengths.ours, ours_log)
    _start(path, lengths.peer, peer_log)
    ratios = []
    for _ in range(lengths.rounds):
        ours = speed(ours_log, _JAILS)
        seconds = 0.0
        for one in filters:
            result = subprocess.run(
                ["fail2ban-regex", "-v", peer_log, one], capture_output=True, text=True, check=True
            )
            seconds += float(re.findall(r"processed in ([\d.]+) sec", result.stdout)[0])
        peer = lengths.peer / seconds
        ratios.append(ours / peer)
    note = f"{spread(ratios, 'times', 1)}; last: {peer:,.0f}/s for the four"
    return measured(key, what, median(ratios), "times", aim, note)


def _doubled(path: Path, folder: Path) -> Row:
    """What a second set of jails with filters of its own costs where nothing happens."""
    text = "[sources.postfix]\npath = '/nowhere'\n"
    (folder / "filters").mkdir()
    for name in _JAILS:
        filter_ = "postfix-sasl" if name == "postfix-sasl-unknown" else name
        shipped = (SHIPPED / "filters" / f"{filter_}.toml").read_text()
        (folder / "filters" / f"{filter_}-2.toml").write_text(shipped)
        text += f"[jails.{name}]\nsource = 'postfix'\nfilter = '{filter_}'\n"
        text += f"[jails.{name}-2]\nsource = 'postfix'\nfilter = '{filter_}-2'\n"
    config = folder / "doubled.toml"
    config.write_text(text)
    both = [*_JAILS, *(f"{name}-2" for name in _JAILS)]
    ratios = []
    for _ in range(_PAIRS):
        once = speed(path, _JAILS, ["-c", str(config)])
        ratios.append(once / speed(path, both, ["-c", str(config)]))
    what = "time with eight jails / four, no attacks"
    return measured(
        "doubled", what, median(ratios), "times", "< 1.15 times", spread(ratios, "times")
    )


def _plain(path: Path) -> float:
    patterns = [re.compile(pattern) for pattern in _PLAIN]
    began = time.perf_counter()
    with path.open("rb") as log:
        sum(1 for line in log if any(pattern.search(line) for pattern in patterns))
    return time.perf_counter() - began

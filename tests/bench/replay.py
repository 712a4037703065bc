"""`mailbanned test` with the four postfix jails over a long log, against plain `re` and grep."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.table import Row, median, spread

_LINES = 1_000_000
_ROUNDS = 3
_JAILS = ("postfix", "postfix-sasl", "postfix-sasl-unknown", "postfix-rcpt-unknown")

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


def run() -> list[Row]:
    """Lines a second, at 5 % and at 90 % attack lines."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "postfix.log")
        for attacks, aim in ((0.05, ">= 500,000/s"), (0.9, "")):
            write_log(path, _LINES, attacks)
            rows += _compare(path, attacks, aim)
    return rows


def _compare(path: Path, attacks: float, aim: str) -> list[Row]:
    jails = [word for name in _JAILS for word in ("--jail", name)]
    command = [str(Path(sys.executable).with_name("mailbanned")), "test", "--json", *jails]
    ours, grep, plain = [], [], []
    for _ in range(_ROUNDS):
        result = subprocess.run([*command, path], capture_output=True, text=True, check=True)
        document = json.loads(result.stdout)
        assert document["lines"] == _LINES
        ours.append(_LINES / document["seconds"])
        began = time.perf_counter()
        subprocess.run(["grep", "-c", "-e", "SASL", "-e", "reject:", path], capture_output=True)
        grep.append(_LINES / (time.perf_counter() - began))
        plain.append(_LINES / _plain(path))
    label = f"{attacks:.0%} attacks"
    return [
        Row(f"test, four jails, {label}", f"{median(ours):,.0f}/s", aim, spread(ours, "/s", 0)),
        Row(f"a loop with three `re`, {label}", f"{median(plain):,.0f}/s", "",
            f"ours is {median(ours) / median(plain):.2f} times that"),
        Row(f"grep -c of two words, {label}", f"{median(grep):,.0f}/s", "", "the floor"),
    ]  # fmt: skip


def _plain(path: Path) -> float:
    patterns = [re.compile(pattern) for pattern in _PLAIN]
    began = time.perf_counter()
    with path.open("rb") as log:
        sum(1 for line in log if any(pattern.search(line) for pattern in patterns))
    return time.perf_counter() - began

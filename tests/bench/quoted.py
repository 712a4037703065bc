"""Where README.md and CHANGELOG.md quote the benchmarks, and what else there looks measured.

A number that is not quoted from results.json stands in ALLOWED, with the reason.
"""

from __future__ import annotations

from tests.bench.figures import Claim, Quote

_README, _CHANGELOG = "README.md", "CHANGELOG.md"

QUOTED = (
    Quote(
        _README,
        "packets dropped | **# ms** | # ms (pyinotify # ms) | # ms |",
        (
            "peers.mailbanned.one",
            "peers.fail2ban-polling.one",
            "peers.fail2ban-pyinotify.one",
            "peers.sshguard.one",
        ),
    ),
    Quote(
        _README,
        "is out after | **# s** (nftables # s) | # s (pyinotify # s) | # s |",
        (
            "peers.mailbanned.wave",
            "peers.mailbanned-nftables.wave",
            "peers.fail2ban-polling.wave",
            "peers.fail2ban-pyinotify.wave",
            "peers.sshguard.wave",
        ),
    ),
    Quote(_README, "is cut, # ms after the deciding line", ("peers.mailbanned.session",)),
    Quote(_README, "all rules are back after # s |", ("peers.mailbanned.back",)),
    Quote(_README, "firewalld takes # ms for a rule", ("peers.bare.rule",)),
    Quote(_README, "100 bare calls alone take # s;", ("peers.bare.wave",)),
    Quote(_README, "reads some # lines a second there", ("replay.attacks5.test",), to=100_000),
    Quote(_README, "about # times as fast as `fail2ban-regex`", ("replay.attacks5.times",), to=10),
    Quote(_README, "where 90 % are attacks it is # times as fast", ("replay.attacks90.times",)),
    Quote(_README, "a backlog of # GB", ("catchup.log",), factor=0.001),
    Quote(_README, "at # % of the speed of `test`", ("catchup.ratio",), factor=100),
    Quote(_README, "leads to its ban in # ms meanwhile", ("catchup.other.p50",)),
    Quote(_README, "99 of 100 within # ms)", ("catchup.other.p99",)),
    Quote(_README, "At rest the daemon takes # MB", ("idle.memory",)),
    Quote(_README, "and # % of one (slow) core", ("idle.cpu",)),
    Quote(_README, "a million failing addresses in an hour, # MB.", ("million.peak",)),
    Quote(_README, "a wave of 1,000 addresses was in force in # s", ("nftables.wave",)),
    Quote(_README, "a new ban took # ms beside 20,000 others", ("nftables.among",)),
)

CLAIMS = (
    Claim(_README, "some hundredths of a second after the line", "reaction.p50", "< 100 ms"),
    Claim(_CHANGELOG, "about a millisecond after it was written", "wakeup.p50", "< 1.5 ms"),
    Claim(
        _CHANGELOG,
        "a hundred attackers at once are out in about a tenth of a second",
        "peers.mailbanned.wave",
        "< 0.15 s",
    ),
    Claim(
        _CHANGELOG,
        "lead to bans within hundredths of a second meanwhile",
        "catchup.other.p99",
        "< 100 ms",
    ),
)

ALLOWED = {
    "| 24 h |": "a bantime of the shipped jails",
    "| 7 d |": "a bantime of the shipped jails",
    "one every 100 ms |": "how the harvest of tests/real/test_postfix.py is made",
    "(5 % of them attacks)": "how the log of the benchmark is made, which names its figures",
    "where 90 % are attacks": "how the log of the benchmark is made, which names its figures",
    "after a quarter of a second": "journald's own delay",
    "in 16 bytes each": "how a failure is kept",
}

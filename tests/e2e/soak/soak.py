"""Rounds of traffic with faults in them, each judged when it is over.

At the end of a round what the oracle wants, the ledger, the state file and the kernel are the same,
every failure has been counted once, and memory is where it was. Then those of the round are let in
again, all but one veteran, who must stay out through everything that comes.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable

from tests.e2e.soak.faults import FAULTS, Fault
from tests.e2e.soak.scene import Scene
from tests.e2e.soak.traffic import BANNED, BRIEF_S, NETWORKS, Expected, Key, Numbers, Traffic
from tests.waiting import HANG_S

#: A daemon may grow by so much from the end of its first whole round on.
GROWTH = 12 * 1024 * 1024
_VETERANS = 50


class Soak:
    """One soak on one scene, from one seed."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.rounds = self.failures = self.banned = 0
        self.memory = 0
        self._seed = seed
        self._numbers = Numbers()
        self._veterans: set[Key] = set()
        self._counted: Counter[str] = Counter()  # of the veterans, by jail `tally`
        self._history = 0
        self._warm: tuple[int, int] | None = None  # (life, bytes)

    def round(self, faults: Iterable[str | Fault], pause: float) -> None:
        """Traffic, in which one fault comes after the other, `pause` seconds apart or twice that.

        Raises AssertionError with what is not as it must be.
        """
        scene, self.rounds = self.scene, self.rounds + 1
        chance = random.Random(f"{self._seed} {self.rounds}")
        life = scene.daemon.lives
        traffic = Traffic(scene.postfix, scene.secure, self._numbers, chance.randrange(2**32))
        traffic.start()
        try:
            if self.rounds <= _VETERANS:
                veteran = traffic.marker(f"203.0.113.{self.rounds}")
            for fault in faults:
                time.sleep(chance.uniform(pause, 2 * pause))
                (FAULTS[fault] if isinstance(fault, str) else fault)(scene, traffic, chance)
            time.sleep(pause)
        finally:
            traffic.finish()
        self._judge(traffic.expected)
        self._judge_memory(life)
        if self.rounds <= _VETERANS:
            self._veterans.add(veteran)
            self._counted[veteran[1]] = BANNED
        self._let_in()
        scene.postfix.tidy()
        scene.secure.tidy()

    def _judge(self, expected: Expected) -> None:
        scene = self.scene
        scene.soon(lambda: self._counts(expected))
        scene.soon(lambda: self._bans(expected))
        self._entered(expected)
        self.failures += expected.failures.total() + expected.visits.total()

    def _counts(self, expected: Expected) -> str:
        """Every failure was counted once, by everybody whom it concerns."""
        daemon = self.scene.daemon
        spared = {who: n for who, n in expected.failures.items() if n < BANNED}
        return (
            _differ("failures", expected.failures + self._counted, daemon.counts("tally"))
            or _differ("failures of the spared", Counter(spared), daemon.counts("harvest"))
            or _differ("visits", expected.visits, daemon.counts("visits"))
        )

    def _bans(self, expected: Expected) -> str:
        """Who must be out is, in the ledger, the state file and the kernel, and nobody else."""
        scene = self.scene
        ledger, wanted = scene.daemon.bans(), expected.banned | self._veterans
        unsure = {key for key in expected.unsure if key[0] == "strict"}
        firewall = scene.daemon.status()["firewall"]
        subjects = {who for _, who in ledger}
        kernel, saved = scene.kernel(), scene.daemon.saved_bans()
        return (
            _differ_sets("the ledger", wanted, ledger - (unsure - wanted))
            or _differ_sets("the state file", ledger, saved)
            or _differ_sets("the kernel", subjects, kernel)
            or ("" if firewall["state"] == "up" else f"the firewall is {firewall['state']}")
            or ("" if firewall["bans_in_force"] == len(subjects) else f"it says {firewall}")
        )

    def _entered(self, expected: Expected) -> None:
        """Everybody was banned once in this round, for as long as he should."""
        rows = self.scene.daemon.saved(
            "SELECT id, jail, subject, until - since, ended - until FROM history WHERE id > ?",
            self._history,
        )
        entered = Counter((jail, who) for _, jail, who, *_ in rows)
        sure = expected.banned | expected.brief
        assert set(entered.values()) <= {1}, f"banned twice: {entered.most_common(5)}"
        wrong = _differ_sets("the history", sure, set(entered) - (expected.unsure - sure))
        assert not wrong, wrong
        for _, jail, who, length, late in rows:
            if jail == "brief":
                assert abs(length - BRIEF_S) < 0.001, f"{who} was banned for {length} s"
            if ("brief", who) in expected.brief:
                assert late is not None, f"the end of {who} was not noticed"
                assert -0.001 <= late < HANG_S, f"{who} was let in {late} s late"
        self._history = max((row[0] for row in rows), default=self._history)
        self.banned += len(rows)

    def _judge_memory(self, life: int) -> None:
        """It does not grow after the first round that a daemon has lived through."""
        self.memory = self.scene.daemon.memory()
        if self.scene.daemon.lives != life:
            return
        if self._warm is None or self._warm[0] != life:
            self._warm = life, self.memory
        grown = self.memory - self._warm[1]
        assert grown < GROWTH, f"memory has grown by {grown} bytes from {self._warm[1]}"

    def _let_in(self) -> None:
        """Those of the round are forgotten, so that they may come again."""
        result = self.scene.daemon.cli("unban", *NETWORKS)
        assert result.returncode == 0, result.stderr
        self.scene.soon(lambda: self._counts(Expected()) or self._bans(Expected()))


def _differ(what: str, wanted: Counter[str], found: Counter[str]) -> str:
    lost, more = wanted - found, found - wanted
    if not lost and not more:
        return ""
    return f"{what}: {lost.total()} lost {dict(lost.most_common(5))}, {more.total()} too many " + (
        f"{dict(more.most_common(5))}"
    )


def _differ_sets(what: str, wanted: Iterable[object], found: Iterable[object]) -> str:
    lost, more = set(wanted) - set(found), set(found) - set(wanted)
    if not lost and not more:
        return ""
    examples = f"{sorted(map(str, lost))[:5]}, {len(more)} too many {sorted(map(str, more))[:5]}"
    return f"{what}: {len(lost)} missing {examples}"

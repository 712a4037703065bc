"""The attackers of one round, and the oracle that knows what must become of each of them.

- Harvesters fail BANNED times, and are banned for good, or SPARED times, and never are.
- Brief ones fail once, and are banned for BRIEF_S.
- Guessers try one account once. Where the account is unknown they are banned for good, but for
  those who come while the account database is away.

What a fault makes undecidable is written down as unsure: a brief ban may end while no daemon runs,
and a question to the account database may be lost with the daemon that has asked it.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tests.e2e.soak.logs import Log
from tests.running import rcpt, sasl, ssh, stamp

BANNED, SPARED = 3, 2
BRIEF_S = 3.0
KNOWN = tuple(f"user{number}@example.org" for number in range(20))
_POOL = 2000  # addresses of a kind; far fewer come in a round
#: Where all but the veterans come from.
NETWORKS = ("198.18.0.0/15", "2001:db8::/32")
_HARVESTER, _VISITOR, _GUESSER = range(3)  # kinds of addresses
_AT_A_TIME = 40
_GUILTY = 0.1  # firewalld takes some 30 ms for each rule, and must come to an end

#: Whether the account database can be asked.
Accounts = Literal["up", "away", "unsure"]
#: (jail, subject)
Key = tuple[str, str]


@dataclass
class Expected:
    """What must be so when a round is over.

    failures, visits: so often each subject failed in postfix.log (as a harvester) and in secure.
    banned, brief: who must be banned once in this round: for good, or until BRIEF_S later.
    unsure: who may have been. never: known accounts, and guesses while the database was away.
    """

    failures: Counter[str] = field(default_factory=Counter)
    visits: Counter[str] = field(default_factory=Counter)
    came: dict[str, float] = field(default_factory=dict)
    banned: set[Key] = field(default_factory=set)
    brief: set[Key] = field(default_factory=set)
    unsure: set[Key] = field(default_factory=set)
    never: set[Key] = field(default_factory=set)


class Numbers:
    """Gives out addresses in NETWORKS, the same ones again some rounds later; and names."""

    def __init__(self) -> None:
        self._next: Counter[str] = Counter()

    def address(self, kind: int, six: bool = False) -> str:
        """The next address of a kind."""
        key = f"{kind} {six}"
        number = self._next[key] = (self._next[key] + 1) % _POOL
        if six:
            return f"2001:db8:{0x1000 * (kind + 1) + number:x}::5"
        return f"198.{18 + kind % 2}.{100 * (kind // 2) + number // 250}.{number % 250 + 1}"

    def name(self) -> str:
        """An account that nobody has ever tried."""
        self._next["name"] += 1
        return f"nobody{self._next['name']}"


def subject(address: str) -> str:
    """As whom an address is banned."""
    return f"{address.removesuffix('5')}/64" if ":" in address else f"{address}/32"


class Traffic(threading.Thread):
    """Writes until it is told to stop, and then what everybody still has to do."""

    def __init__(self, postfix: Log, secure: Log, numbers: Numbers, seed: int) -> None:
        super().__init__()
        self.expected = Expected()
        self.accounts: Accounts = "up"
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self._postfix = postfix
        self._secure = secure
        self._numbers = numbers
        self._chance = random.Random(seed)
        self._turns: list[str] = []
        self._lock = threading.Lock()

    def run(self) -> None:
        try:
            while self._turns or not self.stop.is_set():
                with self._lock:
                    self._some()
                if not self.stop.is_set():
                    time.sleep(self._chance.choice([0.005, 0.02, 0.05]))
        except BaseException as error:
            self.error = error

    def finish(self) -> None:
        """Ends the round; returns when all is written."""
        self.stop.set()
        self.join()
        if self.error is not None:
            raise self.error

    def marker(self, address: str = "") -> Key:
        """A harvester who fails BANNED times right now; whose ban says that all before was read."""
        with self._lock:
            address = address or self._numbers.address(_HARVESTER)
            self._harvest(*[address] * BANNED)
            self.expected.banned.add(("harvest", subject(address)))
        return "harvest", subject(address)

    def rotate(self) -> None:
        """Renames both logs; the last lines in the old files count as well."""
        with self._lock:
            address = self._numbers.address(_HARVESTER)
            self.expected.failures[subject(address)] += 1
            self._postfix.rename(_stamped(rcpt(address, "late@example.org")))
            self._secure.rename(self._visit())

    def set_accounts(self, state: Accounts) -> None:
        """From now on the account database is up, away or one of the two."""
        with self._lock:
            self.accounts = state

    def doubt(self, saved: set[Key], ended: Mapping[str, float]) -> None:
        """No daemon ran for a while until now. It had saved these bans before, and of brief ones
        these ends, with when they had begun.
        """
        with self._lock:
            guesses = {key for key in self.expected.banned if key[0] == "strict"}
            brief = {
                key
                for key in self.expected.brief
                if ended.get(key[1], 0.0) < self.expected.came[key[1]]
            }
            lost = (guesses - saved) | brief
            self.expected.unsure |= lost
            self.expected.banned -= lost
            self.expected.brief -= lost

    def _some(self) -> None:
        """A few lines of each kind."""
        chance, expected = self._chance, self.expected
        while len(self._turns) < _AT_A_TIME and not self.stop.is_set():
            address = self._numbers.address(_HARVESTER, six=chance.random() < 0.2)
            times = BANNED if chance.random() < _GUILTY else SPARED
            self._turns += [address] * times
            if times == BANNED:
                expected.banned.add(("harvest", subject(address)))
        chance.shuffle(self._turns)
        count = min(len(self._turns), chance.randrange(1, 8))
        self._harvest(*(self._turns.pop() for _ in range(count)))
        if self.stop.is_set():
            return
        if chance.random() < 0.05:
            self._secure.write(self._visit())
        if chance.random() < 0.05:
            self._guess()

    def _harvest(self, *addresses: str) -> None:
        self._postfix.write(*(_stamped(rcpt(one, "x@example.org")) for one in addresses))
        self.expected.failures.update(subject(one) for one in addresses)

    def _visit(self) -> str:
        """The line of somebody who fails at sshd, once in a round."""
        address = self._numbers.address(_VISITOR)
        who = subject(address)
        self.expected.visits[who] += 1
        self.expected.brief.add(("brief", who))
        self.expected.came[who] = time.time()
        line = ssh(address)
        return _stamped(line.replace("[4713]", f"[{self._chance.randrange(10**6)}]"))

    def _guess(self) -> None:
        address = self._numbers.address(_GUESSER, six=self._chance.random() < 0.2)
        key = "strict", subject(address)
        if self._chance.random() < 0.3:
            name, place = self._chance.choice(KNOWN), self.expected.never
        else:
            sure = {"up": self.expected.banned, "away": self.expected.never}
            name, place = self._numbers.name(), sure.get(self.accounts, self.expected.unsure)
        self._postfix.write(_stamped(sasl(address, name)))
        place.add(key)


def _stamped(line: str) -> str:
    """The line with a time stamp that is exact."""
    return datetime.now().astimezone().isoformat() + line[len(stamp()) :]

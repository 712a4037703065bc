"""A log of attackers, written and rotated by a thread, in which no two failures can stand in for
each other: every address fails SPARED times or BANNED times, thousands of lines apart.
"""

from __future__ import annotations

import gzip
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from io import FileIO
from itertools import islice
from pathlib import Path

from tests.running import rcpt
from tests.waiting import HANG_S

#: So often an address fails: one more line and it would be banned; or it is, by its last line.
SPARED, BANNED = 3, 4
#: Fails last of all, BANNED times.
LAST = "198.51.100.1"

_ADDRESSES_AT_A_TIME = 500
_ROTATIONS = 10
#: How many rotations there may be without a new position of the reader.
_ROTATIONS_AHEAD = 30
_LIMIT_S = 5 * HANG_S  # whoever is to say stop waits for several things


class Attackers(threading.Thread):
    """Writes until it is told to stop, but for ten rotations at least.

    It rotates no faster than the log is read: a reader on a slow machine would have more to look
    through with every rotation that it does not keep up with.

    failures: how often each address failed.
    noticed: to be set once a position in the log is saved; it is not rotated before, as nobody
        could know then that the rotated file belongs to it.
    """

    def __init__(self, log: Path, seed: int) -> None:
        super().__init__()
        self.failures: Counter[str] = Counter()
        self.rotations = 0
        self.noticed = threading.Event()
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self._log = log
        self._rotations_until_read = _ROTATIONS_AHEAD
        self._chance = random.Random(seed)
        self._dates = seed % 2 == 0
        self._addresses = self._in_turns()

    def is_read(self) -> None:
        """Something of the log was read, so it may be rotated some more times."""
        self._rotations_until_read = self.rotations + _ROTATIONS_AHEAD

    def run(self) -> None:
        try:
            self._run(time.monotonic() + _LIMIT_S)
        except BaseException as error:
            self.error = error

    def _run(self, give_up: float) -> None:
        file = self._log.open("ab", buffering=0)
        self._write(file, 1)
        assert self.noticed.wait(_LIMIT_S), "nobody has read the first line"
        while self._write(file, self._chance.randrange(1, 80)):
            if not self._is_over():
                time.sleep(self._chance.choice([0, 0.01, 0.02, 0.05]))
            if self._chance.random() < 0.1 and self.rotations < self._rotations_until_read:
                file = self._rotate(file)
            assert time.monotonic() < give_up, "nobody has said stop"
        self._addresses = iter([LAST] * BANNED)
        self._write(file, BANNED)
        file.close()

    def _in_turns(self) -> Iterator[str]:
        """Who fails next: one of some thousand addresses, until all have had their turns."""
        turns: list[str] = []
        made = 0
        while True:
            if len(turns) < _ADDRESSES_AT_A_TIME * SPARED and not self._is_over():
                times = BANNED if self._chance.random() < 0.2 else SPARED
                turns += [f"198.18.{made // 250}.{made % 250}"] * times
                made += 1
            elif turns:
                place = self._chance.randrange(len(turns))
                turns[place], turns[-1] = turns[-1], turns[place]
                yield turns.pop()
            else:
                return

    def _is_over(self) -> bool:
        return self.stop.is_set() and self.rotations >= _ROTATIONS

    def _write(self, file: FileIO, count: int) -> int:
        """The next lines, in torn writes; returns how many there were."""
        addresses = list(islice(self._addresses, count))
        data = b"".join(f"{rcpt(one, 'x@example.org')}\n".encode() for one in addresses)
        while data:
            length = self._chance.choice([7, 4096, 65536])
            file.write(data[:length])
            data = data[length:]
        self.failures.update(addresses)
        return len(addresses)

    def _rotate(self, old: FileIO) -> FileIO:
        """As logrotate does: a server goes on in the renamed file, and an older one is packed."""
        self.rotations += 1
        older = [path for path in self._rotated() if path.suffix != ".gz"]
        if older and self._chance.random() < 0.5:
            _pack(self._chance.choice(older))
        self._log.rename(self._next_name())
        self._write(old, self._chance.randrange(20))
        new = self._log.open("ab", buffering=0)
        self._write(old, self._chance.randrange(20))
        old.close()
        return new

    def _rotated(self) -> list[Path]:
        return list(self._log.parent.glob(f"{self._log.name}?*"))

    def _next_name(self) -> Path:
        """A free name for the log; with numbers, all the others move up by one."""
        if self._dates:
            return Path(f"{self._log}-20260501-{self.rotations:06}")
        for old in sorted(self._rotated(), key=_number, reverse=True):
            packed = ".gz" if old.suffix == ".gz" else ""
            old.rename(f"{self._log}.{_number(old) + 1}{packed}")
        return Path(f"{self._log}.1")


def _number(path: Path) -> int:
    """The number of mail.log.12 or mail.log.12.gz."""
    return int(path.name.removesuffix(".gz").rpartition(".")[2])


def _pack(path: Path) -> None:
    """As gzip does: the packed file is as old as the plain one, which goes when it is whole."""
    packed, status = Path(f"{path}.gz"), path.stat()
    with gzip.open(packed, "wb", compresslevel=1) as file:
        file.write(path.read_bytes())
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()

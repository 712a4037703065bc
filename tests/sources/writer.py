"""Does to a log in a thread of its own what loggers and logrotate do, at random and in a hurry."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from io import FileIO
from pathlib import Path

LIMIT_S = 60.0


class Writer(threading.Thread):
    """Writes numbered lines, in torn writes, into a log that is rotated all the time.

    Only what no reader could survive is left out: the log is not rotated before its first line
    was read, lines are not cut off or deleted before they were read, and a file is not packed
    while a server still writes into it.

    seen: how many lines were read, as far as the reader would remember it now.
    dates: rotated files are named by the time, else by numbers.
    cutting: held while lines are cut off; `cuts` counts how often that was.
    """

    def __init__(self, log: Path, seed: int, lines: int, seen: Callable[[], int]) -> None:
        super().__init__()
        self.written = 0
        self.done: Counter[str] = Counter()
        self.error: BaseException | None = None
        self.cutting = threading.Lock()
        self.cuts = 0
        self._log = log
        self._lines = lines
        self._chance = random.Random(seed)
        self._dates = seed % 2 == 0
        self._rotations = 0
        self._seen = seen
        self._give_up = time.monotonic() + LIMIT_S

    def run(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self.error = error

    def _run(self) -> None:
        actions = ["append"] * 6 + ["rename", "copytruncate", "pack"] * 2 + ["delay"]
        file = self._log.open("ab", buffering=0)
        self._write(file, 1)
        self._wait(1)
        while self.written < self._lines:
            self._write(file, self._chance.randrange(1, 80))
            action = self._chance.choice([*actions, "truncate", "delete"])
            self.done[action] += 1
            if action in ("rename", "delay"):
                file = self._rename(file, delay=action == "delay")
            elif action == "copytruncate":
                shutil.copyfile(self._log, self._next_name())
                file.truncate(0)
            elif action == "pack":
                self._pack()
            elif action in ("truncate", "delete"):
                file = self._cut(file, delete=action == "delete")
            time.sleep(self._chance.choice([0, 0, 0.001, 0.02]))
        file.close()

    def _rename(self, old: FileIO, delay: bool) -> FileIO:
        """As logrotate does: the server writes into the renamed file until it is reloaded."""
        self._write(old, self._chance.randrange(20))
        self._log.rename(self._next_name())
        if delay:
            time.sleep(self._chance.choice([0, 0.01]))
            self._write(old, self._chance.randrange(20))
        new = self._log.open("ab", buffering=0)
        for _ in range(3):
            self._write(old, self._chance.randrange(20))
            self._write(new, self._chance.randrange(20))
        old.close()
        return new

    def _next_name(self) -> Path:
        """A free name for a rotated file; with numbers, all the others move up by one."""
        self._rotations += 1
        if self._dates:
            return Path(f"{self._log}-20260501-{self._rotations:06}")
        for old in sorted(self._rotated(), key=_number, reverse=True):
            packed = ".gz" if old.suffix == ".gz" else ""
            old.rename(f"{self._log}.{_number(old) + 1}{packed}")
        return Path(f"{self._log}.1")

    def _rotated(self) -> list[Path]:
        return list(self._log.parent.glob(f"{self._log.name}?*"))

    def _pack(self) -> None:
        """As logrotate and gzip do: both files are there for a while."""
        plain = [path for path in self._rotated() if path.suffix != ".gz"]
        if not plain:
            return
        path = self._chance.choice(plain)
        packed = Path(f"{path}.gz")
        with gzip.open(packed, "wb") as file:
            data = path.read_bytes()
            file.write(data[: len(data) // 2])
            file.flush()
            time.sleep(self._chance.choice([0, 0.005]))
            file.write(data[len(data) // 2 :])
        status = path.stat()
        if self._chance.random() < 0.7:
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.unlink()

    def _cut(self, file: FileIO, delete: bool) -> FileIO:
        """Cuts off, or deletes, what is in the log, once it was read."""
        while True:
            self._wait(self.written)
            with self.cutting:
                if self._seen() < self.written:
                    continue
                self.cuts += 1
                if not delete:
                    file.truncate(0)
                    return file
                self._log.unlink()
                file.close()
                return self._log.open("ab", buffering=0)

    def _write(self, file: FileIO, count: int) -> None:
        numbers = range(self.written, self.written + count)
        data = b"".join(b"%07d%s\n" % (n, b"." * self._chance.randrange(200)) for n in numbers)
        while data:
            length = self._chance.choice([7, 100, 4096, 65536])
            file.write(data[:length])
            data = data[length:]
        self.written += count

    def _wait(self, count: int) -> None:
        """Waits until so many lines were read."""
        while self._seen() < count:
            time.sleep(0.005)
            assert time.monotonic() < self._give_up, f"{self._seen()} of {count} lines were read"


def _number(path: Path) -> int:
    """The number of mail.log.12 or mail.log.12.gz."""
    return int(path.name.removesuffix(".gz").rpartition(".")[2])

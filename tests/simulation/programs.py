"""journalctl as a simulated program: what it is asked for, what it says, and how it ends.

It reads the journal when it starts, when its directory says so (see wakeup.py) and when journald
tells of new records. What it has to say goes into a pipe in pieces of any size. It may be killed,
fail, hang, or not heed a request to end; its end is noticed in any order with what it said.

Known limits: of its options it knows those that the source may use; it has no children.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import permutations
from typing import Any

from tests.simulation.journals import MACHINE, PLACES, Cursor, Disk, Journal, Record
from tests.simulation.scheduler import SimulatedLoop

#: How it ends if something is wrong: its status and the last thing it says.
ENDS = (
    (1, "Failed to write entry: Broken pipe"),
    (1, "Failed to iterate through journal: Bad message"),
    (1, "No journal files were opened due to insufficient permissions."),
    (1, "Failed to open journal: Too many open files"),
    (-9, ""),
    (-11, ""),
    (0, ""),
)
#: Why it cannot be started.
REFUSALS = (errno.ENOENT, errno.EACCES, errno.ENOMEM, errno.EAGAIN)
_ORDERS = tuple(permutations(("stdout", "stderr", "exit")))
_FLAGS = {"--all", "--follow", "--no-tail", "--no-pager", "--quiet", "--output=json"}


class Pipe(asyncio.StreamReader):
    """What a program writes, as asyncio reads it. room: how much more fits into it."""

    def __init__(self, loop: SimulatedLoop, size: int) -> None:
        super().__init__(loop=loop)
        self.room = size
        self.ended = False

    def feed_data(self, data: Any) -> None:
        self.room -= len(data)
        super().feed_data(data)

    def feed_eof(self) -> None:
        self.ended = True
        super().feed_eof()

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        if n >= 0:  # all there is, is read in pieces
            self.room += len(data)
        return data


class Program:
    """One journalctl, as asyncio's Process shows it.

    follows: whether it goes on reading. position: the number of the record that it looks at next.
    stuck: it does nothing. heedless: it does not end when it is asked to. alive: whether it runs.
    status: how it ended, None before that. returncode: the same, once that is noticed.
    """

    def __init__(self, host: Host, number: int, arguments: Sequence[str]) -> None:
        self.number = number
        self.alive = True
        self.stuck = self.heedless = False
        self.status: int | None = None
        self.words = ""
        self.returncode: int | None = None
        self.position = 0
        self.stdout = Pipe(host.loop, host.room)
        self.stderr = Pipe(host.loop, 1 << 16)
        self._host = host
        self._out = b""
        self._looks = True
        self._asked: int | None = None
        self._notices: list[str] = []
        self._ended = asyncio.Event()
        self._options = [text for text in arguments if text.startswith("-")]
        self._matches = [text for text in arguments if not text.startswith("-")]
        self.follows = "--follow" in self._options
        self._begun = False
        self._directory = self._option("--directory")
        self._watched = -1  # the directory of the journal that it watches, as Journal counts them
        self._links_seen = 0

    def _option(self, name: str) -> str | None:
        values = [text.partition("=")[2] for text in self._options if text.startswith(name + "=")]
        return values[-1] if values else None

    # ---- As the source sees it ----------------------------------------------------------------

    def terminate(self) -> None:
        self._signal(-15)

    def kill(self) -> None:
        self._signal(-9)

    def _signal(self, signal: int) -> None:
        if self.returncode is not None:
            raise ProcessLookupError
        self._asked = -9 if self._asked == -9 else signal

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def communicate(self) -> tuple[bytes, None]:
        said = await self.stdout.read()
        await self.wait()
        return said, None

    # ---- What it does -------------------------------------------------------------------------

    def is_over(self) -> bool:
        """Whether it has ended, and all of that is noticed."""
        return not self.alive and not self._notices

    def is_left(self) -> bool:
        """Whether it runs, and is not made to end."""
        return self.alive and self._asked != -9

    def go_on(self) -> bool:
        """Does what it would do first; False if there is nothing."""
        if self._notices:
            return self.notice()
        if not self.alive:
            return False
        if self._asked == -9 or (self._asked and not self.stuck and not self.heedless):
            self.end(self._asked, "")
            return True
        if self.stuck:
            return False
        self._notice_trigger()
        if self._looks and not self._out:
            self.look()
            return True
        return self.say(1 << 20) or self._finish()

    def notified(self) -> None:
        """journald tells it of new records."""
        self._looks = True

    def _notice_trigger(self) -> None:
        """Notices what has changed in its own directory."""
        if self._directory is None:
            return
        if self._links_seen != self._host.disk.links_made:
            self._links_seen = self._host.disk.links_made
            self._looks = True
        with suppress(OSError):
            os.unlink(f"{self._directory}/trigger")  # noqa: PTH108 - it is called very often
            self._looks = True

    def look(self) -> None:
        """Reads what is new in the journal."""
        self._looks = False
        if not self.alive or self.stuck:
            return
        if not self._begun and (problem := self._begin()):
            self.end(1, problem)
            return
        if not self._sees():
            return
        named = (self._option("--output-fields") or "").split(",")
        everything = "--all" in self._options
        records = self._host.journal.records
        found = [r for r in records[self.position :] if not r.gone and self._picks(r)]
        self.position = len(records)
        if limit := self._option("--lines"):
            found = found[-int(limit) :]
        shown = [r.shown(named, everything, r.number % 2 == 0) for r in found]
        self._out += b"".join(shown)

    def _begin(self) -> str:
        """Goes to where it is to begin. What is wrong with how it was called, "" if nothing is."""
        values = ("--since=", "--cursor=", "--after-cursor=", "--output-fields=", "--lines=",
                  "--directory=")  # fmt: skip
        for option in self._options:
            if option not in _FLAGS and not option.startswith(values):
                return f"unrecognized option '{option}'"
        self._begun = True
        if self._directory is not None and not os.path.isdir(self._directory):  # noqa: PTH112
            return f"Failed to open {self._directory}: No such file or directory"
        if self._link_made():
            self._watched = self._host.journal.directory
        cursor, after = self._option("--cursor"), self._option("--after-cursor")
        there = [record for record in self._host.journal.records if not record.gone]
        if cursor or after:
            wanted = Cursor.parse(cursor or after or "")
            if wanted is None:
                return "Failed to seek to cursor: Invalid argument"
            there = [record for record in there if wanted.is_of(record) or wanted.is_before(record)]
            there = there[1:] if after else there
        elif since := self._option("--since"):
            begin = int(since.removeprefix("@")) * 1_000_000
            first = next((place for place, r in enumerate(there) if r.at >= begin), len(there))
            there = there[first:]
        self.position = there[0].number if there else len(self._host.journal.records)
        return ""

    def _link_made(self) -> int:
        """When the link to the journal's directory was made, in its own; 0 if there is none."""
        journal = self._host.journal
        link = f"{self._directory}/{MACHINE if journal.place == 0 else MACHINE[::-1]}"
        try:
            is_right = os.readlink(link) == f"/{PLACES[journal.place]}/{MACHINE}"  # noqa: PTH115
        except OSError:
            return 0
        return self._host.disk.links[link] if is_right else 0

    def _sees(self) -> bool:
        """Whether the directory of the journal is one that it watches."""
        journal = self._host.journal
        if self._directory is None:
            return True
        if self._watched != journal.directory and self._link_made() > journal.moved:
            self._watched = journal.directory
        return self._watched == journal.directory

    def _picks(self, record: Record) -> bool:
        groups: list[dict[str, set[str]]] = [{}]
        for match in self._matches:
            name, _, value = match.partition("=")
            if match == "+":
                groups.append({})
            else:
                groups[-1].setdefault(name, set()).add(value)
        return any(
            all(record.fields.get(name) in values for name, values in group.items())
            for group in groups
        )

    def is_woken_early(self) -> bool:
        """Whether its directory is there, so that it hears of records before journald tells it."""
        return self._directory is not None and os.path.isdir(self._directory)  # noqa: PTH112

    def say(self, size: int) -> bool:
        """Writes so many bytes of what it has to say, if they fit into the pipe."""
        size = min(size, len(self._out), max(0, self.stdout.room))
        if not self.alive or self.stuck or size <= 0:
            return False
        self.stdout.feed_data(self._out[:size])
        self._out = self._out[size:]
        return True

    def _finish(self) -> bool:
        if self.follows or self._out:
            return False
        self.end(0, "")
        return True

    def end(self, status: int, words: str, order: int = 0) -> None:
        """It ends; what it has not written is lost. order: in which that is noticed."""
        if self.alive:
            self._host.note(f"journalctl {self.number} ends with {status} {words}".rstrip())
            if self.follows:
                said = words or "no message"
                self._host.trouble = "" if self._asked else f"ended with {status} ({said})"
            self.alive = False
            self.status, self.words, self._out = status, words, b""
            self._notices = list(_ORDERS[order % len(_ORDERS)])
            if words:
                self.stderr.feed_data(f"said before\n{words}\n".encode())

    def notice(self) -> bool:
        """A part of its end is noticed."""
        if not self._notices:
            return False
        notice = self._notices.pop(0)
        if notice == "exit":
            self.returncode = self.status
            self._ended.set()
        else:
            (self.stdout if notice == "stdout" else self.stderr).feed_eof()
        return True


class Host:
    """Where programs are started.

    programs: those of the daemon that runs now. refusal: why none can be started, 0 if they can.
    failing: how each one ends that is started, None if they do not. room: how much a pipe holds.
    trouble: why the one that followed last does not, "" if it was asked to end.
    """

    def __init__(
        self, loop: SimulatedLoop, journal: Journal, disk: Disk, note: Callable[[str], None]
    ) -> None:
        self.loop = loop
        self.journal = journal
        self.disk = disk
        self.note = note
        self.programs: list[Program] = []
        self.refusal = 0
        self.failing: tuple[int, str] | None = None
        self.room = 1 << 16
        self.trouble = ""
        self._started = 0

    async def start(self, *command: str, **pipes: Any) -> Program:
        """As asyncio.create_subprocess_exec."""
        assert command[0] == "journalctl"
        assert all(isinstance(pipes[name], int) for name in ("stdin", "stdout", "stderr"))
        if self.refusal:
            self.note(f"journalctl is refused: {os.strerror(self.refusal)}")
            if "--follow" in command:
                self.trouble = f"cannot be started ({os.strerror(self.refusal)})"
            raise OSError(self.refusal, os.strerror(self.refusal))
        self._started += 1
        program = Program(self, self._started, command[1:])
        self.programs.append(program)
        place = next((text for text in command if text.startswith(("--cursor", "--since"))), "")
        purpose = "follows" if program.follows else "is asked"
        self.note(f"journalctl {program.number} {purpose} {place}")
        if self.failing is not None:
            program.end(*self.failing)
        try:
            await self.loop.pause(f"start {program.number}", lambda: None)
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                program.kill()  # asyncio kills it and waits for it
            program.end(-9, "")
            while program.notice():
                pass
            raise
        return program

    def following(self) -> list[Program]:
        """The programs that follow the journal."""
        return [program for program in self.programs if program.alive and program.follows]

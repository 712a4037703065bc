"""A journal as journald writes it: records of several services, in files that rotate and go.

Records stand in the order in which they were written. Which one comes first is asked in the way of
sd-journal: by number within a series, by monotonic time within a boot, else by time. A clock that
is set back so far that this would contradict the order of writing is left out: journalctl itself
would not show such records.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from mailbanned.clock import Clock

MACHINE = "0123456789abcdef0123456789abcdee"
PLACES = ("var/log/journal", "run/log/journal")
#: A longer record is left out (what the source has for a megabyte, here).
MOST = 6000
#: The longest field that journalctl shows without --all.
_SHOWN = 4096
_COUNTS_AT = 152


class Service(NamedTuple):
    """What writes records. entry: the one of a source that they are for; "" if none."""

    entry: str
    fields: dict[str, str]


_SSHD = {"_UID": "0", "_SYSTEMD_UNIT": "ssh.service", "_EXE": "/usr/sbin/sshd"}
_POSTFIX = {"_UID": "110", "_SYSTEMD_UNIT": "postfix.service"}
_DOVECOT = {"_UID": "0", "_SYSTEMD_UNIT": "dovecot.service", "SYSLOG_IDENTIFIER": "dovecot"}
_RSPAMD = {"_UID": "120", "_SYSTEMD_UNIT": "filter.service", "SYSLOG_IDENTIFIER": "rspamd"}
ENTRIES = ("sshd.service", "postfix.service", "dovecot.service", "SYSLOG_IDENTIFIER=rspamd")
SERVICES = (
    Service(ENTRIES[0], {**_SSHD, "SYSLOG_IDENTIFIER": "sshd-session", "_TRANSPORT": "syslog"}),
    Service(ENTRIES[0], {**_SSHD, "SYSLOG_IDENTIFIER": "sshd"}),
    Service(ENTRIES[1], {**_POSTFIX, "SYSLOG_IDENTIFIER": "postfix/smtpd"}),
    Service(ENTRIES[1], {**_POSTFIX, "SYSLOG_IDENTIFIER": "postfix/lmtp"}),
    Service(ENTRIES[2], _DOVECOT),
    Service(ENTRIES[3], _RSPAMD),
    # Of a unit that is followed, but written by a user; and of others.
    Service("", {**_POSTFIX, "_UID": "1000", "SYSLOG_IDENTIFIER": "postfix/smtpd"}),
    Service("", {**_RSPAMD, "_UID": "1001"}),
    Service("", {**_SSHD, "_UID": "1000", "SYSLOG_IDENTIFIER": "sshd"}),
    Service("", {"_UID": "0", "_SYSTEMD_UNIT": "cron.service", "SYSLOG_IDENTIFIER": "CRON"}),
)

#: What messages look like, by number; the last ones are no certain text.
MESSAGES: tuple[Callable[[str], Any], ...] = (
    lambda text: text,
    lambda text: f"{text} from 192.0.2.1",
    lambda text: f'{text} "quoted" \\ and\ttab',
    lambda text: f"{text} über \u2028 \U0001f4e7",
    lambda text: f"{text}\nsecond line\n",
    lambda text: f"{text} \0 NUL\n\x1b".encode(),
    lambda text: f"{text} ".encode() + b"\xff\xfe\x80",
    lambda text: f"{text} {'long' * (_SHOWN // 4)}",
    lambda text: f"{text} {'huge' * MOST}",
    lambda text: [text, f"{text} once more"],
    lambda text: None,
)


@dataclass(eq=False)
class Record:
    """A record. entry: which it is handed on for, "" for none. line: how it reads then.

    owner: the entry that it is for, even if its message is no certain text.
    number: counts all that were written. sequence: its number in its series.
    at, monotonic: when it was written, in microseconds. gone: deleted with its file.
    """

    number: int
    series: str
    sequence: int
    boot: str
    monotonic: int
    at: int
    fields: dict[str, Any]
    owner: str
    entry: str
    line: bytes
    gone: bool = False

    @property
    def cursor(self) -> str:
        """As journalctl names it."""
        return (
            f"s={self.series};i={self.sequence:x};b={self.boot};m={self.monotonic:x};"
            f"t={self.at:x};x={self.number:x}"
        )

    def shown(self, named: list[str], everything: bool, readable: bool) -> bytes:
        """As `journalctl --output=json` shows it. everything: --all. readable: not as \\u...."""
        found: dict[str, Any] = {
            "__CURSOR": self.cursor,
            "__REALTIME_TIMESTAMP": str(self.at),
            "__MONOTONIC_TIMESTAMP": str(self.monotonic),
            "_BOOT_ID": self.boot,
        }
        for name in named or self.fields:
            if name in self.fields:
                found[name] = _shown(self.fields[name], everything)
        return (json.dumps(found, ensure_ascii=not readable) + "\n").encode()


def _shown(value: Any, everything: bool) -> Any:
    if isinstance(value, list):
        return [_shown(entry, everything) for entry in value]
    size = len(value if isinstance(value, bytes) else value.encode())
    if size > _SHOWN and not everything:
        return None
    return list(value) if isinstance(value, bytes) else value


class Cursor(NamedTuple):
    """A place in the journal as a cursor describes it."""

    series: str
    sequence: int
    boot: str
    monotonic: int
    at: int

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """None if it is none."""
        try:
            parts = dict(part.split("=") for part in text.split(";"))
            numbers = {name: int(parts[name], 16) for name in "imt"}
            return cls(parts["s"], numbers["i"], parts["b"], numbers["m"], numbers["t"])
        except (ValueError, KeyError):
            return None

    def is_before(self, record: Record) -> bool:
        """Whether a record comes later, as sd-journal has it."""
        if record.series == self.series:
            return record.sequence > self.sequence
        if record.boot == self.boot:
            return record.monotonic > self.monotonic
        return record.at > self.at

    def is_of(self, record: Record) -> bool:
        """Whether it names this record."""
        return (record.series, record.sequence) == (self.series, self.sequence)


class Disk:
    """Where temporary files are. full: nothing can be made there.

    links_made: counts all links that were made. links: by link, its number among them.
    """

    def __init__(self, folder: Path) -> None:
        self.full = False
        self.links_made = 0
        self.links: dict[str, int] = {}
        self._folder = str(folder)
        self._symlink, self._mkdir = os.symlink, os.mkdir

    def symlink(self, source: Any, link: Any, *options: Any) -> None:
        """As os.symlink."""
        self._check(link)
        self._symlink(source, link, *options)
        self.links_made += 1
        self.links[str(link)] = self.links_made

    def mkdir(self, path: Any, *mode: int) -> None:
        """As os.mkdir."""
        self._check(path)
        self._mkdir(path, *mode)

    def _check(self, path: Any) -> None:
        if self.full and str(path).startswith(self._folder):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Journal:
    """journald and its files: their records, and the counts in their headers.

    root: the file system in which the journal is. records: all that were ever written.
    directory: counts the directories in which it was. place: where it is now, of PLACES.
    moved: how many links there were when it came there.
    noticed_at: when journald tells readers of what is new, None if there is nothing.
    """

    def __init__(self, root: Path, clock: Clock, disk: Disk) -> None:
        self.root = root
        self.moved = 0
        self._disk = disk
        self.records: list[Record] = []
        self.by_line: dict[bytes, Record] = {}
        self.directory = 0
        self.place = 0
        self.boot = "b0"
        self.noticed_at: float | None = None
        self.hidden = False
        self._clock = clock
        self._series, self._sequence, self._series_made = "5e0", 0, 0
        self._booted_at = -1_000_000.0
        self._descriptor = -1
        (root / "etc").mkdir()
        (root / "etc/machine-id").write_text(f"{MACHINE}\n")
        self._folder.mkdir(parents=True)
        self._new_file()

    @property
    def _folder(self) -> Path:
        return self.root / PLACES[self.place] / MACHINE

    def close(self) -> None:
        """Lets go of its file."""
        os.close(self._descriptor)

    def write(self, service: Service, message: int, age: float = 0.0) -> Record:
        """Adds a record. message: which of MESSAGES. age: how old it is, in seconds."""
        number = len(self.records)
        self._sequence += 1
        at = int((self._clock.now() - age) * 1e6) + number
        monotonic = int((self._clock.monotonic() - age - self._booted_at) * 1e6) + number
        value = MESSAGES[message](f"n={number};")
        fields: dict[str, Any] = {**service.fields, "_PID": str(1000 + number), "_HOSTNAME": "mx"}
        if value is not None:
            fields["MESSAGE"] = value
        line = _line(at, fields, value)
        certain = isinstance(value, str | bytes) and len(value) <= MOST
        record = Record(
            number, self._series, self._sequence, self.boot, monotonic, at, fields,
            service.entry, service.entry if certain else "", line,
        )  # fmt: skip
        self.records.append(record)
        if certain:
            self.by_line[line] = record
        self._count()
        if self.noticed_at is None:
            self.noticed_at = self._clock.monotonic() + 0.25
        return record

    def is_orderly(self, clock: float, series: str, boot: str) -> bool:
        """Whether records that are written at this time come after all others."""
        at = int(clock * 1e6)
        return all(
            record.at < at
            for record in self.records
            if record.series != series and record.boot != boot
        )

    def may_set(self, seconds: float) -> bool:
        """Whether the clock may be set by so much; see above."""
        return self.is_orderly(self._clock.now() + seconds, self._series, self.boot)

    # ---- Its files ----------------------------------------------------------------------------

    def rotate(self) -> None:
        """Begins a new file, which takes over the numbering."""
        with suppress(FileNotFoundError):
            self._path.rename(self._path.with_name(f"system@{self._sequence}.journal"))
        self._new_file()

    def begin_series(self) -> bool:
        """As when journald finds its file damaged. False: it would be against the order."""
        series = f"5e{self._series_made + 1}"
        if not self.is_orderly(self._clock.now(), series, self.boot):
            return False
        self._series_made += 1
        self._series, self._sequence = series, 0
        self.rotate()
        return True

    def vacuum(self, share: float) -> int:
        """Deletes that share of the records, the oldest; returns how many that were."""
        there = [record for record in self.records if not record.gone]
        for record in there[: int(len(there) * share)]:
            record.gone = True
        return int(len(there) * share)

    def tear(self, most: int) -> int:
        """The newest records are lost, as they were not on the disk; returns how many."""
        torn = [record for record in self.records[-most:] if most and not record.gone]
        if not self.begin_series():
            return 0
        for record in torn:
            record.gone = True
        return len(torn)

    def move(self, place: int) -> None:
        """The directory is replaced, here or in another place; the records go along."""
        self._folder.rename(self.root / f"gone{self.directory}")
        self.directory += 1
        self.moved = self._disk.links_made
        self.place = place
        self._folder.mkdir(parents=True, exist_ok=True)
        self._new_file()

    def reboot(self) -> bool:
        """The host starts: monotonic time begins again. False: it would be against the order."""
        boot = f"b{int(self.boot[1:]) + 1}"
        if not self.is_orderly(self._clock.now(), self._series, boot):
            return False
        self.boot, self._booted_at = boot, self._clock.monotonic()
        return True

    def hide(self, hidden: bool) -> None:
        """Whether its file cannot be seen by those who look at its header."""
        before = self._path
        self.hidden = hidden
        with suppress(FileNotFoundError):
            before.rename(self._path)

    @property
    def _path(self) -> Path:
        return self._folder / ("hidden" if self.hidden else "system.journal")

    def _new_file(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
        self._count()

    def _count(self) -> None:
        counts = struct.pack("<QQ", len(self.records), self._sequence)
        os.pwrite(self._descriptor, counts, _COUNTS_AT)


def _line(at: int, fields: dict[str, Any], message: Any) -> bytes:
    """How a record reads; b"" where its message is no text."""
    if not isinstance(message, str | bytes):
        return b""
    text = message if isinstance(message, bytes) else message.encode()
    moment = datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)
    stamp = moment.isoformat(timespec="microseconds")
    head = f"{stamp} {fields['_HOSTNAME']} {fields['SYSLOG_IDENTIFIER']}[{fields['_PID']}]: "
    return head.encode() + text.replace(b"\n", b"\\n")

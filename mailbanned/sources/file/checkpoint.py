"""Where reading of a log file resumes, and how to identify the file.

A file is identified by a fingerprint of its beginning: its first lines carry time stamps, and stay
the same when it is renamed, copied or compressed. Its name is no identity (it is rotated), nor is
its inode (it is reused). Only hashes of the bytes are kept, because log lines are personal data and
checkpoints are stored.

Known limits: two files with the same first KiB are taken for one; a file whose first KiB was edited
is taken for another one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import blake2b
from pathlib import PurePath
from typing import Any

#: How many bytes before a position are compared before each read: about one line.
TAIL_BYTES = 256
#: How many bytes at the start of a file identify it.
HEAD_BYTES = 1024
#: At how many line ends within the head a hash is kept, to compare shorter files.
_HEAD_LINES = 8
#: How many equal bytes are enough to identify a file: a time stamp and a little more.
_SURE_BYTES = 16
#: Fields of a Checkpoint that have another name in its text.
_KEYS = {"mtime_ns": "written", "skipping": "inside", "compressed": "packed"}

#: Device and inode.
Identity = tuple[int, int]


def fingerprint(data: bytes) -> str:
    """The hash of some bytes of a log."""
    return blake2b(data, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Head:
    """How a file begins: hashes of its first bytes, up to the ends of its first lines.

    hashes: (length, hash), shortest first; () if no line was read yet.
    complete: whether it has HEAD_BYTES, so that it grows no more.
    """

    hashes: tuple[tuple[int, str], ...] = ()
    complete: bool = False

    @classmethod
    def of(cls, data: bytes) -> Head:
        """The head of a file that begins with these bytes; only whole lines count."""
        start = data[:HEAD_BYTES]
        ends = [at + 1 for at, byte in enumerate(start) if byte == 0x0A]
        complete = len(start) == HEAD_BYTES
        if complete and not ends:  # a first line that is longer than the head
            ends = [HEAD_BYTES]
        if len(ends) > _HEAD_LINES:
            ends = [*ends[: _HEAD_LINES - 1], ends[-1]]
        return cls(tuple((end, fingerprint(start[:end])) for end in ends), complete)

    def fits(self, data: bytes) -> bool:
        """Whether a file that begins with these bytes is this one, or a (partial) copy."""
        common = self._common(data)
        return common >= _SURE_BYTES or (common > 0 and common == self.hashes[-1][0])

    def is_all_there(self, data: bytes) -> bool:
        """Whether the head is complete, and a file that begins with these bytes has all of it."""
        return self.complete and self._common(data) == self.hashes[-1][0]

    def may_fit(self, data: bytes) -> bool:
        """Whether some first bytes are equal, but too few to identify the file."""
        return not self.fits(data) and self._common(data) > 0

    def _common(self, data: bytes) -> int:
        """How many of the first bytes are equal, up to the end of a line; else 0."""
        differs_up_to = 0
        for length, text in reversed(self.hashes):
            if length > len(data):
                continue
            if differs_up_to and b"\0" not in data[length:differs_up_to]:
                return 0  # other text; NULs instead are the damage of a power failure
            if fingerprint(data[:length]) == text:
                return length
            differs_up_to = length
        return 0


@dataclass(frozen=True)
class Checkpoint:
    """A position in a file.

    key: its key among the checkpoints of its source; stays the same when the file is renamed.
    path: where the log is expected, even after the file itself has been renamed.
    head: how the file begins.
    offset: everything before it was handed on. Never 0, which needs no checkpoint.
    tail: the fingerprint of the (at most TAIL_BYTES) bytes before the offset; "" if they were never
        read.
    skipping: what is being skipped at the offset, as messages.py has it; 0 if nothing is.
    mtime_ns: the mtime of the file (ns) when it was read up to here.
    at_end: whether that was the end of the file.
    compressed: whether it is a position in the decompressed bytes of a compressed file.
    """

    key: str
    path: str
    device: int
    inode: int
    head: Head
    offset: int
    tail: str
    skipping: int
    mtime_ns: int
    at_end: bool
    compressed: bool = False

    @property
    def identity(self) -> Identity:
        return self.device, self.inode

    @cached_property
    def text(self) -> str:
        """The checkpoint as it is stored."""
        values: dict[str, Any] = {
            _KEYS.get(field.name, field.name): getattr(self, field.name) for field in fields(self)
        }
        values["head"] = [self.head.hashes, self.head.complete]
        return json.dumps(values)

    @classmethod
    def parse(cls, text: str) -> Checkpoint | None:
        """The checkpoint from its stored text, None if that is not valid."""
        try:
            values = json.loads(text)
            hashes, complete = values["head"]
            pairs = tuple((length, digest) for length, digest in hashes)
            renamed = {name: values.pop(key) for name, key in _KEYS.items() if key in values}
            checkpoint = cls(**{**values, **renamed, "head": Head(pairs, complete)})
        except (ValueError, TypeError, KeyError):
            return None
        return checkpoint if checkpoint._is_sound() else None

    def _is_sound(self) -> bool:
        lengths = [length for length, _ in self.head.hashes]
        numbers = (self.device, self.inode, self.offset, self.skipping, self.mtime_ns, *lengths)
        texts = (self.key, self.path, self.tail, *(digest for _, digest in self.head.hashes))
        return (
            all(type(number) is int and number >= 0 for number in numbers)
            and all(isinstance(text, str) for text in texts)
            and self.offset > 0
        )


def new_key(inode: int, written: int, head: Head) -> str:
    """The key for the checkpoints of a file whose first lines were just read."""
    return f"{inode}:{written}:{head.hashes[-1][1]}"


def checkpoint_of(pattern: str, text: str) -> Checkpoint | None:
    """The checkpoint from its stored text, None if its path does not match the pattern."""
    checkpoint = Checkpoint.parse(text)
    if checkpoint is None or not PurePath(checkpoint.path).match(pattern):
        return None
    return checkpoint


class SavedCheckpoints:
    """The checkpoints of a source's files that are not open; at first all those of the last run.

    Those of files that were read to their end are kept, too, to know that they were read.
    texts: stored checkpoints; those whose paths do not match the pattern are left out.
    """

    #: How many are kept for each path, and for the whole source.
    MOST_OF_A_PATH = 256
    MOST = 1024

    def __init__(self, pattern: str, texts: Iterable[str]) -> None:
        parsed = (checkpoint_of(pattern, text) for text in texts)
        self._by_key = {saved.key: saved for saved in parsed if saved is not None}

    def texts(self) -> dict[str, str]:
        """All of them as stored, by their keys."""
        return {key: saved.text for key, saved in self._by_key.items()}

    def paths(self) -> set[str]:
        """The paths of their logs."""
        return {saved.path for saved in self._by_key.values()}

    def for_path(self, path: str, files: Collection[Identity]) -> list[Checkpoint]:
        """Those of a path, and those of some files, which may have had another path before."""
        saved = self._by_key.values()
        return [c for c in saved if c.path == path or c.identity in files]

    def add(self, checkpoint: Checkpoint | None) -> None:
        """Keeps a checkpoint; None (of a file of which nothing was read) is ignored."""
        if checkpoint is not None:
            self._by_key[checkpoint.key] = checkpoint

    def remove(self, checkpoint: Checkpoint) -> None:
        """Removes the checkpoint of a file that is open again."""
        self._by_key.pop(checkpoint.key, None)

    def is_full(self, path: str) -> bool:
        """Whether checkpoints of a path may have been evicted."""
        is_source_full = len(self._by_key) >= self.MOST // 2  # some files may be open again since
        return is_source_full or len(self.for_path(path, ())) >= self.MOST_OF_A_PATH

    def trim(self) -> None:
        """Evicts the checkpoints of the files with the oldest mtimes, if there are too many."""
        newest_first = sorted(self._by_key.values(), key=lambda saved: -saved.mtime_ns)
        kept, of_path = [], Counter[str]()
        for saved in newest_first[: self.MOST]:
            of_path[saved.path] += 1
            if of_path[saved.path] <= self.MOST_OF_A_PATH:
                kept.append(saved)
        if len(kept) < len(newest_first):
            self._by_key = {saved.key: saved for saved in reversed(kept)}

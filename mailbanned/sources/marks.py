"""Where reading of a file resumes: a position, and how to know the file again.

A name says little about a log (it is rotated) and so does an inode (it is used again), so a mark
also remembers the bytes before its position. Of these it keeps a hash, because log lines are
personal data and marks are stored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import blake2b

#: How many bytes before a position tell a file: about one line, with its time stamp.
TAIL_BYTES = 256

#: Device and inode.
Identity = tuple[int, int]


def fingerprint(tail: bytes) -> str:
    """A hash of the bytes before a position."""
    return blake2b(tail, digest_size=16).hexdigest()


@dataclass(frozen=True)
class Mark:
    """A position in a file.

    path: where the log is expected, even after the file itself has been renamed.
    offset: everything before it has been handed on.
    tail: the fingerprint of the (at most TAIL_BYTES) bytes before the offset.
    inside: what is being left out at the offset, as lines.py has it; 0 if nothing is.
    written: when the file had last been written to (its mtime, ns) as it was read up to here. So
        the file that holds the position, and every later one, is at least as young. 0: unknown.
    """

    path: str
    device: int
    inode: int
    offset: int
    tail: str
    inside: int
    written: int = 0

    @property
    def identity(self) -> Identity:
        return self.device, self.inode

    @property
    def name(self) -> str:
        """Under which the mark is kept among those of its source."""
        return f"{self.device}:{self.inode}"

    @cached_property
    def text(self) -> str:
        """The mark in writing."""
        return json.dumps({field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """The mark from its writing, None if it is none (of ours)."""
        try:
            mark = cls(**json.loads(text))
        except (ValueError, TypeError):
            return None
        numbers = (mark.device, mark.inode, mark.offset, mark.written)
        sound = isinstance(mark.path, str) and isinstance(mark.inside, int)
        return mark if sound and all(type(n) is int and n >= 0 for n in numbers) else None

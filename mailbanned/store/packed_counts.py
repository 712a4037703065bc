"""Changed windows that wait to be saved, as the text that is handed to the state file.

A wave of new attackers may be counted faster than a disk takes them in. As tuples in a dict each of
them would take half a kilobyte until then; here it takes about 50 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Self

from mailbanned.address import Subject
from mailbanned.store.base import WindowKey, Windows

# What is saved by one statement (characters, if there is more than one piece). The statement sorts
# it, and the more is sorted at once, the fewer pages of the file are written.
_DOCUMENT = 2_000_000


class PackedWindows(Mapping[WindowKey, tuple[float, ...]]):
    """Windows that are added bit by bit and read once; of one that was added twice the later holds.

    As a mapping it is unpacked for each use, which is for looking at few of them.
    """

    def __init__(self, windows: Windows | None = None) -> None:
        # Of each jail, in the order in which they came: '["192.0.2.1/32",[1.0,2.0]],...'
        self._pieces: dict[str, list[str]] = {}
        self.add(windows or {})

    @classmethod
    def of(cls, windows: Windows) -> Self:
        """The windows, packed unless they are already."""
        return windows if isinstance(windows, cls) else cls(windows)

    def add(self, windows: Windows) -> None:
        """More windows, which take the place of those of the same subjects."""
        by_jail: dict[str, list[tuple[Subject, tuple[float, ...]]]] = {}
        for (jail, subject), times in windows.items():
            by_jail.setdefault(jail, []).append((subject, times))
        for jail, rows in by_jail.items():
            piece = json.dumps(rows, separators=(",", ":"))[1:-1]
            self._pieces.setdefault(jail, []).append(piece)

    def extend(self, later: PackedWindows) -> None:
        """Takes over what was packed later."""
        for jail, pieces in later._pieces.items():
            self._pieces.setdefault(jail, []).extend(pieces)

    def documents(self) -> Iterator[tuple[str, str]]:
        """The name of a jail and a JSON array of its windows, the earlier ones first:
        [["192.0.2.1/32", [1.0, 2.0]], ...]
        """
        for jail, pieces in self._pieces.items():
            some: list[str] = []
            size = 0
            for piece in pieces:
                if some and size + len(piece) > _DOCUMENT:
                    yield jail, f"[{','.join(some)}]"
                    some, size = [], 0
                some.append(piece)
                size += len(piece)
            yield jail, f"[{','.join(some)}]"

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def _unpacked(self) -> dict[WindowKey, tuple[float, ...]]:
        return {
            (jail, Subject(subject)): tuple(times)
            for jail, document in self.documents()
            for subject, times in json.loads(document)
        }

    def __getitem__(self, key: WindowKey) -> tuple[float, ...]:
        return self._unpacked()[key]

    def __iter__(self) -> Iterator[WindowKey]:
        return iter(self._unpacked())

    def __len__(self) -> int:
        return len(self._unpacked())

"""A dict that forgets what was used least recently, so that no attacker can fill the memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(OrderedDict[K, V]):
    """An OrderedDict of at most `size` entries; setting a key makes it the most recent one.

    evicted: how many entries had to go to make room.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.evicted = 0

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self.size:
            self.popitem(last=False)
            self.evicted += 1

    def use(self, key: K) -> V | None:
        """The value of a key, which becomes the most recent one; None if it is not there."""
        if key not in self:
            return None
        self.move_to_end(key)
        return self[key]

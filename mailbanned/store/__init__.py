"""What outlives the process: bans, history, counts and read positions.

Positions are written in the same transaction as everything that was decided from the lines before
them. So after a crash the lines after the position are read again, and none is counted twice.
"""

from mailbanned.store.base import Changes, MemoryStore, Past, State, Store, StoreError, Windows
from mailbanned.store.packed_counts import Packed
from mailbanned.store.sqlite import SQLiteStore

__all__ = [
    "Changes",
    "MemoryStore",
    "Packed",
    "Past",
    "SQLiteStore",
    "State",
    "Store",
    "StoreError",
    "Windows",
]

"""What outlives the process: bans, history, counts and checkpoints.

Checkpoints are written in the same transaction as everything that was decided from the lines before
them. So after a crash the lines after the checkpoint are read again, and none is counted twice.
"""

from mailbanned.store.base import (
    Changes,
    CheckpointKey,
    MemoryStore,
    PastBan,
    State,
    Store,
    StoreError,
    Windows,
)
from mailbanned.store.packed_counts import PackedWindows
from mailbanned.store.sqlite import SQLiteStore

__all__ = [
    "Changes",
    "CheckpointKey",
    "MemoryStore",
    "PackedWindows",
    "PastBan",
    "SQLiteStore",
    "State",
    "Store",
    "StoreError",
    "Windows",
]

"""Failures become bans: sliding windows, jails, outage detection and the ledger of active bans.

Nothing here does I/O, reads a clock or logs: time is an argument, and what happens is returned.
"""

from mailbanned.jails.engine import Engine
from mailbanned.jails.events import (
    MANUAL,
    AccountCheck,
    Event,
    RestoredState,
    SeenWhileBanned,
    WindowKey,
)
from mailbanned.jails.ignore import IgnoreList
from mailbanned.jails.jail import Jail
from mailbanned.jails.ledger import Ledger
from mailbanned.jails.outage import OutageDetected, OutageState
from mailbanned.jails.settings import JailDefaults, JailSettings, OutageSettings
from mailbanned.jails.window import SlidingWindows

__all__ = [
    "MANUAL",
    "AccountCheck",
    "Engine",
    "Event",
    "IgnoreList",
    "Jail",
    "JailDefaults",
    "JailSettings",
    "Ledger",
    "OutageDetected",
    "OutageSettings",
    "OutageState",
    "RestoredState",
    "SeenWhileBanned",
    "SlidingWindows",
    "WindowKey",
]

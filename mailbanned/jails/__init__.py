"""Failures -> Bans: windows, jails, the ledger of who is banned until when, and the engine.

No asyncio, clock, logging or files in here: time is an argument, decisions are return values.
"""

from mailbanned.jails.engine import Engine, known
from mailbanned.jails.events import MANUAL, Decision, Question, Saved, WindowKey
from mailbanned.jails.ignore import IgnoreList
from mailbanned.jails.jail import Jail
from mailbanned.jails.ledger import Ledger
from mailbanned.jails.outage import BreakerState, Opening
from mailbanned.jails.settings import JailDefaults, JailSettings, OutageSettings
from mailbanned.jails.window import Windows

__all__ = [
    "MANUAL",
    "BreakerState",
    "Decision",
    "Engine",
    "IgnoreList",
    "Jail",
    "JailDefaults",
    "JailSettings",
    "Ledger",
    "Opening",
    "OutageSettings",
    "Question",
    "Saved",
    "WindowKey",
    "Windows",
    "known",
]

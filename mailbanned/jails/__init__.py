"""Failures -> Bans: windows, jails, the ledger of who is banned until when, and the engine.

No asyncio, clock, logging or files in here: time is an argument, decisions are return values.
"""

from mailbanned.jails.engine import MANUAL, Engine, Question, Saved
from mailbanned.jails.ignore import IgnoreList
from mailbanned.jails.jail import Jail, JailRules
from mailbanned.jails.ledger import Ledger
from mailbanned.jails.window import Windows

__all__ = [
    "MANUAL",
    "Engine",
    "IgnoreList",
    "Jail",
    "JailRules",
    "Ledger",
    "Question",
    "Saved",
    "Windows",
]

"""Does this mail account exist? For jails that only count attempts at accounts that do not.

    base.py    what the daemon may ask (Accounts), what a database must offer (Lookup)
    cache.py   CachedAccounts: clean names, remembered answers, "cannot tell" on every trouble
    mysql.py   a Lookup in MySQL or MariaDB
    sqlite.py  a Lookup in an SQLite file

A database is never between a log line and a ban: whoever asks gets "cannot tell" in bounded time,
and what cannot be told may exist, so it bans nobody.

A new kind of database is one file with a Lookup, put into CachedAccounts by the daemon.
"""

from mailbanned.accounts.base import (
    Accounts,
    AccountsDown,
    AccountsState,
    Lookup,
    NoAccounts,
)
from mailbanned.accounts.cache import CachedAccounts
from mailbanned.accounts.mysql import MySQLLookup
from mailbanned.accounts.sqlite import SQLiteLookup

__all__ = [
    "Accounts",
    "AccountsDown",
    "AccountsState",
    "CachedAccounts",
    "Lookup",
    "MySQLLookup",
    "NoAccounts",
    "SQLiteLookup",
]

"""What other packages may ask about accounts: Accounts, its state, and NoAccounts, which is none.

There are two levels. A Lookup asks one database, plainly: it answers or raises AccountsDown.
Accounts is what the daemon holds: it answers within a bounded time and never raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


class AccountsDown(Exception):
    """The database could not be asked. The text says why, in one short line without secrets."""


@dataclass(frozen=True, slots=True)
class AccountsState:
    """How the account database is doing, for `mailbanned status`.

    state: "none" without a database, "idle" before the first query, then "up" or "down" as the
        latest query went.
    lookups: queries sent to the database since the start.
    failures: those of them that failed or came too late.
    cached: names whose answer is remembered now.
    last_error: why the latest failure failed; stays when the database is up again.
    """

    backend: str
    state: Literal["up", "down", "none", "idle"]
    lookups: int = 0
    failures: int = 0
    cached: int = 0
    last_error: str = ""


class Accounts(Protocol):
    """Knows which mail accounts exist."""

    async def exists(self, user: str) -> bool | None:
        """True: the account exists. False: it surely does not. None: nobody can tell.

        `user` is the name as a server logged it, so anything at all. Never raises, and answers
        within a time that the implementation bounds. None must be taken as "may exist".
        """
        ...

    def state(self) -> AccountsState:
        """A snapshot of the counters."""
        ...

    async def close(self) -> None:
        """Ends running queries, which answer None, and gives the connections back.

        Nothing may be asked afterwards.
        """
        ...


class Lookup(Protocol):
    """One database that holds the mail accounts."""

    name: str

    async def exists(self, user: str) -> bool | None:
        """Whether the query finds an account of this name, which is stripped and in lower case.

        None: the database works but cannot compare this one name. Raises AccountsDown on any
        other trouble. May be cancelled at any time, and called again while earlier calls run.
        """
        ...

    async def close(self) -> None:
        """Gives the connections back."""
        ...


class NoAccounts:
    """Accounts without a database: nobody can ever tell."""

    async def exists(self, user: str) -> bool | None:
        return None

    def state(self) -> AccountsState:
        return AccountsState(backend="none", state="none")

    async def close(self) -> None:
        pass

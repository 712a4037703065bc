"""Looks up accounts in tasks of their own, beside the pipeline.

Checks wait in a bounded queue. When a wave of attackers outruns the database, checks that do not
fit are dropped: the accounts are taken to exist, and the lenient jails have counted the failures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mailbanned.accounts import Accounts
from mailbanned.jails import AccountCheck
from mailbanned.log import Condition, get_logger

_log = get_logger("accounts")

_MAX_WAITING = 10_000
_WORKERS = 4


class AccountChecker:
    """Looks up `accounts`, which a reload may replace.

    dropped: how many checks did not fit into the queue.
    """

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.dropped = 0
        self._condition = Condition(_log)
        self._checks: asyncio.Queue[AccountCheck] = asyncio.Queue(_MAX_WAITING)

    def submit(self, check: AccountCheck) -> None:
        """Queues a check; its answer goes to the function that `run` was given."""
        try:
            self._checks.put_nowait(check)
        except asyncio.QueueFull:
            self.dropped += 1
            self._condition.report(
                "the account database is too slow; some attempts are taken as known"
            )

    async def run(self, answer: Callable[[AccountCheck, bool | None], None]) -> None:
        """Looks up accounts until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(_WORKERS):
                workers.create_task(self._work(answer))

    async def _work(self, answer: Callable[[AccountCheck, bool | None], None]) -> None:
        while True:
            check = await self._checks.get()
            answer(check, await self._exists(check.user))

    async def _exists(self, user: str) -> bool | None:
        """As Accounts.exists; asks again if the accounts were replaced meanwhile."""
        while True:
            accounts = self.accounts
            exists = await accounts.exists(user)
            if exists is not None or accounts is self.accounts:
                return exists

    async def exchange(self, accounts: Accounts) -> None:
        """Replaces the accounts, and closes those before."""
        before, self.accounts = self.accounts, accounts
        await before.close()

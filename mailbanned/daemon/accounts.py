"""Carries questions about accounts to the database and the answers back, beside the core.

Questions wait in a bounded queue. When a wave of attackers outruns the database, the questions
that find no room are answered with "may exist": the lenient jails have counted them already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mailbanned.accounts import Accounts
from mailbanned.jails import AccountCheck
from mailbanned.log import get_logger

log = get_logger("accounts")

_WAITING = 10_000
_WORKERS = 4


class Asker:
    """Asks `accounts`, which may be exchanged by a reload."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.unasked = 0
        self._questions: asyncio.Queue[AccountCheck] = asyncio.Queue(_WAITING)

    def ask(self, question: AccountCheck) -> None:
        """Takes a question; its answer will be given to the function that `run` was given."""
        try:
            self._questions.put_nowait(question)
        except asyncio.QueueFull:
            self.unasked += 1
            if self.unasked == 1:
                log.warning("the account database is too slow; some attempts are taken as known")

    async def run(self, answer: Callable[[AccountCheck, bool | None], None]) -> None:
        """Asks until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(_WORKERS):
                workers.create_task(self._work(answer))

    async def _work(self, answer: Callable[[AccountCheck, bool | None], None]) -> None:
        while True:
            question = await self._questions.get()
            answer(question, await self._exists(question.user))

    async def _exists(self, user: str) -> bool | None:
        """As Accounts.exists. Those that were exchanged meanwhile could not tell any more."""
        while True:
            accounts = self.accounts
            exists = await accounts.exists(user)
            if exists is not None or accounts is self.accounts:
                return exists

    async def exchange(self, accounts: Accounts) -> None:
        """From now on other accounts are asked."""
        before, self.accounts = self.accounts, accounts
        await before.close()

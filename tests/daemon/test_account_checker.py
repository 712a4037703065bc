"""The checker: every question is answered, whatever becomes of the database that it went to."""

from __future__ import annotations

import asyncio

from mailbanned.accounts import CachedAccounts
from mailbanned.daemon.accounts import AccountChecker
from mailbanned.jails import AccountCheck
from mailbanned.model import Failure
from tests.accounts.scripted import ManualClock, ScriptedLookup
from tests.waiting import HANG_S


def question(user: str) -> AccountCheck:
    failure = Failure(1, None, "203.0.113.5", user, "postfix-sasl/login")
    return AccountCheck("postfix-sasl-unknown", user, failure, 0.0, None)


async def test_what_a_reload_interrupts_is_asked_again() -> None:
    """A question that is on its way when the accounts are exchanged goes to the new ones."""
    clock, before, after = ManualClock(), ScriptedLookup(), ScriptedLookup("info")
    before.hold = True
    checker = AccountChecker(CachedAccounts(before, clock, 5.0))
    answers: asyncio.Queue[tuple[str, bool | None]] = asyncio.Queue()
    running = asyncio.create_task(
        checker.run(lambda asked, exists: answers.put_nowait((asked.user, exists)))
    )
    checker.submit(question("mallory"))
    checker.submit(question("info"))
    await before.next_held(2)
    await checker.exchange(CachedAccounts(after, clock, 5.0))
    async with asyncio.timeout(HANG_S):
        assert {await answers.get(), await answers.get()} == {("mallory", False), ("info", True)}
    assert before.closed
    running.cancel()
    await asyncio.wait([running])

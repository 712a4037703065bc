"""Puts a cache in front of the account database: normalizes names, remembers answers, and turns
every failure into "unknown" within a bounded time.

What it guarantees, whatever the database does:
- An answer takes twice `timeout` at most: once for a free slot, once for the query.
- A name is asked once, however many wait for it; QUERIES names are asked at a time.
- After a failure everybody is told None at once; one query every REST seconds finds out whether
  the database is back. Errors and timeouts are never remembered as answers.

Known limits: an account created less than `unknown_for` seconds after somebody tried its name still
counts as unknown.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from mailbanned.accounts.base import AccountsDown, AccountsState, Lookup
from mailbanned.bounded import BoundedDict
from mailbanned.clock import Clock
from mailbanned.log import Condition, get_logger

MAX_QUERIES = 4
RETRY_AFTER_S = 1.0
MAX_NAME_BYTES = 320  # bytes: 64 for the local part, "@", 255 for the domain

_log = get_logger("accounts")


def normalize_user(user: str) -> str | None:
    """The name as the database knows it (stripped, lower case), or None if it cannot be asked for.

    Postfix writes "?" for every byte that it does not print, and "(unavailable)" for a name that it
    never got; U+FFFD stands for bytes that are no UTF-8. What was there is lost. Control and
    invisible characters (and lone surrogates) are in no account, but databases disagree on whether
    they count in a comparison.
    """
    name = user.strip().lower()
    lossy = "?" in name or "\ufffd" in name or name == "(unavailable)"
    if not name or lossy or not name.isprintable() or len(name.encode()) > MAX_NAME_BYTES:
        return None
    return name


class CachedAccounts:
    """Accounts in front of one Lookup.

    timeout: seconds that one query may take.
    known_for, unknown_for: seconds for which yes and no are remembered.
    size: names remembered at most; the least recently used one is evicted first.
    """

    def __init__(
        self,
        lookup: Lookup,
        clock: Clock,
        timeout: float,
        *,
        known_for: float = 300.0,
        unknown_for: float = 30.0,
        size: int = 10_000,
    ) -> None:
        self._lookup = lookup
        self._clock = clock
        self._timeout = timeout
        self._lifetime = {True: known_for, False: unknown_for}
        self._answers: BoundedDict[str, tuple[bool, float]] = BoundedDict(size)  # valid until
        self._asking: dict[str, asyncio.Task[bool | None]] = {}
        self._slots = asyncio.Semaphore(MAX_QUERIES)
        self._state: Literal["up", "down", "idle"] = "idle"
        self._retry_at = 0.0  # monotonic; only valid while down
        self._condition = Condition(_log)
        self._lookups = self._failures = 0
        self._last_error = ""

    async def exists(self, user: str) -> bool | None:
        """See Accounts.exists."""
        name = normalize_user(user)
        if name is None:
            return None
        answer = self._remembered(name)
        if answer is not None:
            return answer
        if name not in self._asking:
            if self._is_backing_off():
                return None
            task = asyncio.create_task(self._ask(name))
            task.add_done_callback(lambda _: self._asking.pop(name))
            self._asking[name] = task
        return await self._answer_of(self._asking[name])

    def state(self) -> AccountsState:
        """See Accounts.state."""
        return AccountsState(
            backend=self._lookup.name,
            state=self._state,
            lookups=self._lookups,
            failures=self._failures,
            cached=len(self._answers),
            last_error=self._last_error,
        )

    async def close(self) -> None:
        """See Accounts.close."""
        running = list(self._asking.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await self._lookup.close()

    @staticmethod
    async def _answer_of(task: asyncio.Task[bool | None]) -> bool | None:
        """Waits for a query that others may wait for too."""
        # Unlike `await task`, this leaves the query alone when the waiter is cancelled.
        await asyncio.wait([task])
        return None if task.cancelled() else task.result()

    async def _ask(self, name: str) -> bool | None:
        """One query, once a slot is free; too long a queue is no fault of the database."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._slots.acquire()
        except TimeoutError:
            return None
        try:
            return await self._query(name)
        finally:
            self._slots.release()

    async def _query(self, name: str) -> bool | None:
        if self._is_backing_off():  # the query before this one in the queue may have failed
            return None
        if self._state == "down":
            self._back_off()  # this query alone finds out whether the database is back
        self._lookups += 1
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._lookup.exists(name)
        except AccountsDown as error:
            self._failed(str(error))
            return None
        except TimeoutError:
            self._failed(f"no answer within {self._timeout:g} s")
            return None
        self._worked()
        if answer is not None:
            self._remember(name, answer)
        return answer

    def _remembered(self, name: str) -> bool | None:
        answer, until = self._answers.use(name) or (None, 0.0)
        if answer is not None and self._clock.monotonic() >= until:
            del self._answers[name]
            return None
        return answer

    def _remember(self, name: str, answer: bool) -> None:
        self._answers[name] = (answer, self._clock.monotonic() + self._lifetime[answer])

    def _is_backing_off(self) -> bool:
        return self._state == "down" and self._clock.monotonic() < self._retry_at

    def _back_off(self) -> None:
        self._retry_at = self._clock.monotonic() + RETRY_AFTER_S

    def _failed(self, reason: str) -> None:
        self._failures += 1
        self._last_error = reason
        self._back_off()
        self._state = "down"
        self._condition.report(
            "cannot ask the account database: strict jails stay quiet until it answers",
            backend=self._lookup.name,
            error=reason,
        )

    def _worked(self) -> None:
        self._state = "up"
        self._condition.clear(
            "the account database answers again: strict jails are back", backend=self._lookup.name
        )

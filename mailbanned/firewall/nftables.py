"""Bans through a table of our own in nftables: for many bans, and for the ports of containers.

Changes that come together go into one transaction of the program `nft`. One transaction runs at a
time; changes that come meanwhile make up the next. Adding a ban needs no listing. What others
remove is found by `list_bans`, or by a change that no longer finds the table. Other tables are
never touched, and no reload of firewalld touches ours.

The kernel forgets a ban some minutes after its end. This is for the case that mailbanned does not
run then; while it runs, it lifts the ban before.

Known limits: everything in the table is taken for ours. `reject` needs Linux 5.9. A removal takes
the kernel some 10 ms, in which a new ban waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from math import ceil

from mailbanned.address import Subject
from mailbanned.clock import Clock, SystemClock
from mailbanned.firewall import nftscript
from mailbanned.firewall.base import FirewallDown, Listed
from mailbanned.firewall.nftscript import COMMON, Change, PrefixSet
from mailbanned.firewall.richrules import Verdict
from mailbanned.log import get_logger
from mailbanned.subprocesses import run


class NotFound(Exception):
    """The kernel does not have what a script names, and changed nothing. The text is nft's."""


class Nft:
    """Runs `nft`: one transaction or one listing a call.

    command: the program, perhaps with a wrapper before it.
    timeout: seconds that one run may take.
    """

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command = command
        self._timeout = timeout

    async def change(self, script: str) -> None:
        """Runs a script as one transaction. Raises FirewallDown or NotFound."""
        await self._run("-f", "-", script=script)

    async def list_table(self, family: str, name: str) -> bytes:
        """Returns a table with all it holds, as JSON. Raises FirewallDown or NotFound."""
        return await self._run("-j", "list", "table", family, name)

    async def _run(self, *options: str, script: str = "") -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                completed = await run(*self._command, *options, stdin=script.encode())
        except TimeoutError:
            raise FirewallDown(f"nft did not end in {self._timeout:g} s") from None
        except OSError as error:
            raise FirewallDown(
                f"{self._command[0]} cannot be run ({error.strerror}): install the package nftables"
            ) from error
        if completed.status == 0:
            return completed.output
        if "not permitted" in completed.complaint:
            raise FirewallDown(
                "nft may not change the rules of the kernel: give the service the capability "
                "CAP_NET_ADMIN, as the unit that comes with mailbanned does"
            )
        words = _first_error(completed.complaint)
        if "No such file or directory" in words:
            raise NotFound(words)
        raise FirewallDown(f"nft says: {words}")


def _first_error(complaint: str) -> str:
    """Returns the first sentence of nft's complaints, without the position in the script."""
    return complaint.splitlines()[0].rpartition("Error: ")[2][:200]


_log = get_logger("firewall")

_LONGEST_S = 99_999_999  # nft reads no more digits, so longer bans never end by themselves


class Nftables:
    """The nftables backend.

    verdict: what happens to packets of a banned subject.
    command: the program `nft`, perhaps with words before it.
    timeout: seconds that one run of it may take.
    slack: seconds after its end at which the kernel forgets a ban. A ban with less than half of
        them left should have been lifted, and is `expiring`.
    """

    name = "nftables"
    zone = ""
    max_parallel = 512  # a batch of this size takes twice as long as a single ban
    max_parallel_restores = 384

    def __init__(
        self,
        verdict: Verdict = "drop",
        *,
        command: Sequence[str] = ("nft",),
        timeout: float = 30.0,
        slack: float = 300.0,
        clock: Clock | None = None,
    ) -> None:
        self._verdict: Verdict = verdict
        self._nft = Nft(command, timeout)
        self._slack = slack
        self._clock = clock or SystemClock()
        self._created: set[PrefixSet] = set()  # by us since `connect`, and not known to be gone
        self._expiring: set[Subject] = set()
        # What the next transaction will change, and the futures of those who wait for it.
        self._batch: list[tuple[Change, asyncio.Future[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._transaction = asyncio.Lock()
        self._lost = asyncio.Event()

    async def connect(self) -> None:
        self._created.clear()
        self._expiring.clear()
        await self._create_sets(COMMON)

    async def list_bans(self) -> Listed:
        try:
            listing = await self._nft.list_table(nftscript.FAMILY, nftscript.NAME)
        except NotFound:
            self._created.clear()
            await self._create_sets(COMMON)
            return Listed(frozenset())
        soon = self._slack / 2
        table = await asyncio.to_thread(nftscript.parse_listing, listing, self._verdict, soon)
        self._created &= table.intact
        if broken := table.sets - table.intact:
            _log.warning("rules of our nftables table were changed; repairing them")
            await self._create_sets(broken)
        self._expiring = table.expiring
        return Listed(table.bans, expiring=table.expiring)

    async def add(
        self, subject: Subject, until: float | None = None, *, replace: bool = False
    ) -> None:
        """As in Firewall. replace: the ban may be there already, with another end."""
        prefix_set, address = nftscript.set_for(subject)
        seconds = self._lifetime(until)
        # An older kernel keeps the end of a ban that is there, so the ban has to be deleted first.
        # This is not done to every ban because it takes several times as long.
        replace = replace or subject in self._expiring
        await self._change(Change(prefix_set, address, seconds, add=True, delete=replace))
        self._expiring.discard(subject)

    def _lifetime(self, until: float | None) -> int | None:
        """Returns the seconds after which the kernel is to forget a ban that ends at `until`."""
        if until is None:
            return None
        seconds = ceil(until + self._slack - self._clock.now())
        return max(1, seconds) if seconds <= _LONGEST_S else None

    async def remove(self, subject: Subject) -> None:
        prefix_set, address = nftscript.set_for(subject)
        await self._change(Change(prefix_set, address, delete=True))
        self._expiring.discard(subject)

    async def wait_until_lost(self) -> str:
        await self._lost.wait()
        self._lost.clear()
        return "the table of the bans was gone"

    async def close(self) -> None:
        """Waits for the transactions in flight; `nft` keeps no connection."""
        await asyncio.gather(*self._tasks)

    async def _change(self, change: Change) -> None:
        """Adds a change to the next transaction, and waits for the end of that."""
        if not self._batch:
            task = asyncio.create_task(self._commit_batch())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        committed = asyncio.get_running_loop().create_future()
        self._batch.append((change, committed))
        await committed

    async def _commit_batch(self) -> None:
        """Commits all changes that came until now, and ends the wait for them."""
        problem: Exception | None = None
        async with self._transaction:
            batch, self._batch = self._batch, []
            changes = [change for change, _ in batch]
            try:
                await self._commit(
                    changes, {change.prefix_set for change in changes} - self._created
                )
            except Exception as error:  # raised where the changes are waited for
                problem = error
        for _, committed in batch:
            if committed.done():
                continue  # the wait was cancelled
            if problem is None:
                committed.set_result(None)
            else:
                committed.set_exception(problem)

    async def _create_sets(self, sets: Iterable[PrefixSet]) -> None:
        async with self._transaction:
            await self._commit([], set(sets))

    async def _commit(self, batch: list[Change], sets: set[PrefixSet]) -> None:
        """Creates sets and changes bans in one transaction."""
        try:
            await self._nft.change(self._script(batch, sets))
        except NotFound:
            self._created.clear()
            sets |= {change.prefix_set for change in batch}
            try:
                await self._nft.change(self._script(batch, sets))
            except NotFound as error:
                raise FirewallDown(f"nft says: {error}") from error
            self._lost.set()
        self._created |= sets

    def _script(self, batch: list[Change], sets: set[PrefixSet]) -> str:
        creation = nftscript.create_sets(sets, self._verdict) if sets else ""
        return creation + nftscript.update_elements(batch)

"""The program `nft`: one transaction or one listing at a time, and what its complaints mean.

Bans through a table of our own in nftables, for many bans and for the ports of containers.

Changes that come together go into one transaction of `nft`, one at a time; those that come
meanwhile make the next. Nothing is listed to put a ban. What somebody else removes is found by
asking `listed` from time to time, or by a change that finds no table any more. Other tables are
never touched, and no reload of firewalld touches ours.

The kernel forgets a ban some minutes after its end. That is for the case that we are gone: as long
as we are there, we lift it before.

Known limits: whatever is in the table is taken for ours. `reject` needs Linux 5.9. A removal takes
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
from mailbanned.firewall.nftscript import COMMON, Change, Place
from mailbanned.firewall.richrules import Verdict
from mailbanned.log import get_logger
from mailbanned.subprocesses import run


class Gone(Exception):
    """Something that was named is not in the kernel: nothing was changed. The text is nft's."""


class Nft:
    """Runs `nft`.

    command: the program, perhaps with words before it.
    timeout: seconds that one run may take.
    """

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command = command
        self._timeout = timeout

    async def change(self, script: str) -> None:
        """Carries out a script as a whole or not at all. Raises FirewallDown or Gone."""
        await self._run("-f", "-", script=script)

    async def table(self, family: str, name: str) -> bytes:
        """A table with all it holds, as JSON. Raises FirewallDown or Gone."""
        return await self._run("-j", "list", "table", family, name)

    async def _run(self, *options: str, script: str = "") -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                ended = await run(*self._command, *options, stdin=script.encode())
        except TimeoutError:
            raise FirewallDown(f"nft did not end in {self._timeout:g} s") from None
        except OSError as error:
            raise FirewallDown(
                f"{self._command[0]} cannot be run ({error.strerror}): install the package nftables"
            ) from error
        if ended.status == 0:
            return ended.output
        if "not permitted" in ended.complaint:
            raise FirewallDown(
                "nft may not change the rules of the kernel: give the service the capability "
                "CAP_NET_ADMIN, as the unit that comes with mailbanned does"
            )
        words = _first_error(ended.complaint)
        if "No such file or directory" in words:
            raise Gone(words)
        raise FirewallDown(f"nft says: {words}")


def _first_error(complaint: str) -> str:
    """The first sentence of nft's complaints, without the place in the script."""
    return complaint.splitlines()[0].rpartition("Error: ")[2][:200]


_log = get_logger("firewall")

_LONGEST = 99_999_999  # seconds; nft reads no more digits, so longer bans never end by themselves


class Nftables:
    """The nftables backend.

    verdict: what happens to packets of a banned subject.
    command: the program `nft`, perhaps with words before it.
    timeout: seconds that one run of it may take.
    slack: seconds after its end at which the kernel forgets a ban. A ban that has less than half
        of them left should have been lifted; it is `ending`.
    """

    name = "nftables"
    zone = ""
    slots = 512  # a batch of so many takes twice as long as one ban alone
    old_slots = 384

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
        self._laid: set[Place] = set()  # made by us since `connect`, and not known to be gone
        self._ending: set[Subject] = set()
        # What the next transaction will change, and who waits for it.
        self._batch: list[tuple[Change, asyncio.Future[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()
        self._lost = asyncio.Event()

    async def connect(self) -> None:
        self._laid.clear()
        self._ending.clear()
        await self._lay_out(COMMON)

    async def listed(self) -> Listed:
        try:
            listing = await self._nft.table(nftscript.FAMILY, nftscript.NAME)
        except Gone:
            self._laid.clear()
            await self._lay_out(COMMON)
            return Listed(frozenset())
        soon = self._slack / 2
        found = await asyncio.to_thread(nftscript.read, listing, self._verdict, soon)
        self._laid &= found.sound
        if broken := found.places - found.sound:
            _log.warning("Put the rules of our table again: they were not as they should be")
            await self._lay_out(broken)
        self._ending = found.ending
        return Listed(found.bans, ending=found.ending)

    async def add(
        self, subject: Subject, until: float | None = None, *, anew: bool = False
    ) -> None:
        """As in Firewall. anew: the ban is there already, and is to end at another time."""
        place, address = nftscript.located(subject)
        seconds = self._lifetime(until)
        # An older kernel keeps the end of a ban that is there, so that has to be taken first. It
        # is not done to every ban because it takes several times as long.
        anew = anew or subject in self._ending
        await self._change(Change(place, address, seconds, put=True, take=anew))
        self._ending.discard(subject)

    def _lifetime(self, until: float | None) -> int | None:
        """Seconds after which the kernel is to forget a ban that ends at `until`."""
        if until is None:
            return None
        seconds = ceil(until + self._slack - self._clock.now())
        return max(1, seconds) if seconds <= _LONGEST else None

    async def remove(self, subject: Subject) -> None:
        place, address = nftscript.located(subject)
        await self._change(Change(place, address, take=True))
        self._ending.discard(subject)

    async def lost(self) -> str:
        await self._lost.wait()
        self._lost.clear()
        return "the table of the bans was gone"

    async def close(self) -> None:
        """Waits for what is under way; the program itself holds no connection."""
        await asyncio.gather(*self._tasks)

    async def _change(self, change: Change) -> None:
        """Puts a change into the next transaction, and waits for its end."""
        if not self._batch:
            task = asyncio.create_task(self._commit_batch())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        committed = asyncio.get_running_loop().create_future()
        self._batch.append((change, committed))
        await committed

    async def _commit_batch(self) -> None:
        """Commits all that came until now, and tells those who wait for it."""
        problem: Exception | None = None
        async with self._one_at_a_time:
            batch, self._batch = self._batch, []
            changes = [change for change, _ in batch]
            try:
                await self._commit(changes, {change.place for change in changes} - self._laid)
            except Exception as error:  # whatever it is, it is told to those who wait
                problem = error
        for _, committed in batch:
            if committed.done():
                continue  # whoever waited was cancelled
            if problem is None:
                committed.set_result(None)
            else:
                committed.set_exception(problem)

    async def _lay_out(self, places: Iterable[Place]) -> None:
        async with self._one_at_a_time:
            await self._commit([], set(places))

    async def _commit(self, batch: list[Change], places: set[Place]) -> None:
        """One transaction: lays places out, and changes what is in those of the batch."""
        try:
            await self._nft.change(self._script(batch, places))
        except Gone:
            self._laid.clear()
            places |= {change.place for change in batch}
            try:
                await self._nft.change(self._script(batch, places))
            except Gone as error:
                raise FirewallDown(f"nft says: {error}") from error
            self._lost.set()
        self._laid |= places

    def _script(self, batch: list[Change], places: set[Place]) -> str:
        laid_out = nftscript.layout(places, self._verdict) if places else ""
        return laid_out + nftscript.changes(batch)

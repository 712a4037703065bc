"""The program `nft`: one transaction or one listing at a time, and what its complaints mean."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailbanned.firewall.base import FirewallDown
from mailbanned.firewall.programs import run


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

"""Runs a program to its end: what `ss` and `nft` have in common."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE
from contextlib import suppress
from typing import NamedTuple


class Completed(NamedTuple):
    """How a program ended: its exit status, its output, and its complaints as text ("" if none).

    A failure without words is put into words.
    """

    status: int
    output: bytes
    complaint: str


async def run(*argv: str, stdin: bytes = b"") -> Completed:
    """Runs a program, never a shell, and ends it if we are cancelled.

    Raises OSError if it cannot be started.
    """
    environment = {**os.environ, "LC_ALL": "C"}  # complaints are compared with what we know
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
    )
    try:
        output, errors = await process.communicate(stdin)
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    status = process.returncode or 0
    complaint = errors.decode(errors="replace").strip()
    return Completed(status, output, complaint or (f"exit status {status}" if status else ""))

"""What was read and not handed on, because files have come in between, has no position."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.sources.rig import Reader, append
from tests.waiting import until


async def test_a_position_says_what_was_handed_on(tmp_path: Path) -> None:
    """Ended after any block, the next run hands on the rest, though the log was rotated meanwhile.

    The reader is held up in the first of four files, and finds two more after that.
    """
    lines = [b"Nov 22 19:52:%02d mx postfix/smtpd[%d]: connect\n" % (n, n) for n in range(10, 17)]
    log = tmp_path / "mail.log"
    append(log, lines[0])
    async with Reader(log) as first:
        await first.read(lines[0])
    append(log, lines[1])
    log.rename(f"{log}-20260501")
    append(Path(f"{log}-20260502"), lines[2])
    append(Path(f"{log}-20260503.gz"), gzip.compress(lines[3]))
    append(log, lines[4])

    reader = Reader(log, first.marks)
    reader.gate.clear()
    async with reader:
        await until(lambda: reader.state.lines == 1)
        log.rename(f"{log}-20260504")
        append(Path(f"{log}-20260505"), lines[5])
        append(log, lines[6])
        reader.gate.set()
        await reader.read(b"".join(lines[1:]))
    for number, block in enumerate(reader.blocks):
        rest = b"".join(later.data for later in reader.blocks[number + 1 :])
        async with Reader(log, block.marks) as again:
            await again.read(rest)


async def test_a_log_that_begins_with_the_header_of_the_one_before(tmp_path: Path) -> None:
    """A log that shares only its first line with the one before is not read again at a restart."""
    header = b"# This is the log of the mail server.\n"
    old, new = [
        header + b"".join(b"%s line %d of the log\n" % (name, n) for n in range(20))
        for name in (b"old", b"new")
    ]
    log = tmp_path / "mail.log"
    append(log, old)
    async with Reader(log) as reader:
        await reader.read(old)
        append(tmp_path / "next.log", header)
        (tmp_path / "next.log").replace(log)
        await until(lambda: log.stat().st_ino in [file.inode for file in reader.state.files])
        await reader.following()
        append(log, new.removeprefix(header))
        await reader.read(old + new.removeprefix(header))
    append(log, b"the last line\n")
    async with Reader(log, reader.marks) as again:
        await again.read(b"the last line\n")

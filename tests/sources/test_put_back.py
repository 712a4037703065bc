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

"""The cutting of whole lines out of bytes."""

from __future__ import annotations

import random

import pytest

from mailbanned.sources.lines import Cut, cut


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Cut(b"", 0, False)),
        (b"half", Cut(b"", 0, False)),
        (b"a\nb\nha", Cut(b"a\nb\n", 4, False)),
        (b"12345678\n", Cut(b"", 9, False)),
        (b"1234567\n", Cut(b"1234567\n", 8, False)),
        (b"12345678", Cut(b"", 0, False)),
        (b"123456789", Cut(b"", 9, True)),
        (b"a\n123456789\nb\nc", Cut(b"a\nb\n", 14, False)),
    ],
)
def test_whole_lines_up_to_the_limit(data: bytes, expected: Cut) -> None:
    """Whole lines of up to 8 bytes are kept, longer ones left out, the rest waits."""
    assert cut(data, limit=8) == expected


def test_the_end_of_an_overlong_line_is_no_line() -> None:
    """What remains of a line that is left out never passes for a line of its own."""
    assert cut(b"rest of it\nnext\n", 0, True, limit=8) == Cut(b"next\n", 16, False)
    assert cut(b"still no end", 0, True, limit=8) == Cut(b"", 12, True)


@pytest.mark.parametrize("seed", range(20))
def test_the_cut_does_not_depend_on_how_the_bytes_come(seed: int) -> None:
    """However a log is cut into reads, exactly the lines within the limit come out."""
    chance = random.Random(seed)
    lengths = [chance.choice([0, 1, 3, 9, 14, 15, 16, 17, 40]) for _ in range(400)]
    lines = [bytes(chance.choices(b"ab\r\0\xff", k=length)) + b"\n" for length in lengths]
    log = b"".join(lines)
    position, inside, seen, kept = 0, False, 0, b""
    while position < len(log):
        seen = min(len(log), max(seen, position) + chance.randrange(1, 60))
        found, end, inside = cut(log[position:seen], 0, inside, limit=16)
        position += end
        kept += found
    assert kept == b"".join(line for line in lines if len(line) <= 16)

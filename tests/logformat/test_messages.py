"""split_lines and split_messages: bytes become whole lines, and whole messages of containers."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailbanned.logformat.messages import (
    SplitLines,
    SplitMessages,
    join_parts,
    split_lines,
    split_messages,
)
from tests.runtimes import Message, Write, Written, cri, docker, logs, written

LIMIT = 200


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", SplitLines(b"", 0, False)),
        (b"half", SplitLines(b"", 0, False)),
        (b"a\nb\nha", SplitLines(b"a\nb\n", 4, False)),
        (b"12345678\n", SplitLines(b"", 9, False)),
        (b"1234567\n", SplitLines(b"1234567\n", 8, False)),
        (b"12345678", SplitLines(b"", 0, False)),
        (b"123456789", SplitLines(b"", 9, True)),
        (b"a\n123456789\nb\nc", SplitLines(b"a\nb\n", 14, False)),
    ],
)
def test_whole_lines_up_to_the_limit(data: bytes, expected: SplitLines) -> None:
    """Whole lines of up to 8 bytes are kept, longer ones left out, the rest waits."""
    assert split_lines(data, limit=8) == expected


def test_the_end_of_an_overlong_line_is_no_line() -> None:
    """What remains of a line that is left out never passes for a line of its own."""
    assert split_lines(b"rest of it\nnext\n", 0, True, limit=8) == SplitLines(b"next\n", 16, False)
    assert split_lines(b"still no end", 0, True, limit=8) == SplitLines(b"", 12, True)


@pytest.mark.parametrize("at_once", [1, 7, 100, 10_000])
@pytest.mark.parametrize("write", [cri, docker])
def test_numbers_can_be_kept(at_once: int, write: Write) -> None:
    """If asked for, a skipped line leaves an empty one, whatever the reads and the format."""
    long, message = b"x" * 3 * LIMIT + b"\n", write("a", "stdout", True)
    for log in (b"a\n" + long + b"b\n", long + message + long + long + message + b"b\n"):
        rest, skipping, found = b"", 0, b""
        for start in range(0, len(log), at_once):
            rest += log[start : start + at_once]
            lines, end, skipping = split_messages(rest, 0, skipping, LIMIT, keep_numbers=True)
            rest, found = rest[end:], found + lines
        assert not rest
        assert found == join_parts(log.replace(long, b"\n"))


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
        found, end, inside = split_lines(log[position:seen], 0, inside, limit=16)
        position += end
        kept += found
    assert kept == b"".join(line for line in lines if len(line) <= 16)


def read(log: bytes, pieces: list[int], limit: int) -> list[bytes]:
    """A log as it grows by pieces of these sizes: what comes out each time."""
    position, inside, seen, found = 0, 0, 0, []
    for piece in [*pieces, len(log)]:
        seen = min(len(log), seen + piece)
        lines, end, inside = split_messages(log[position:seen], 0, inside, limit)
        position += end
        found.append(lines)
        assert seen - position <= 2 * limit
    return found


def whole_lines(found: list[bytes]) -> list[bytes]:
    return [line for block in found for line in block.split(b"\n") if line]


def test_a_message_is_handed_on_when_it_is_whole() -> None:
    """The position stays before the first part for as long as the last one is missing."""
    before, part, end = cri("a", "stderr"), cri("b", final=False), cri("c")
    assert split_messages(before + part + before) == SplitMessages(before, len(before), 0)
    assert split_messages(part + before) == SplitMessages(b"", 0, 0)
    assert split_messages(before + part + end + b"half") == SplitMessages(
        before + b"\n" + cri("bc"), len(before + part + end), 0
    )


def test_ordinary_logs_are_cut_as_ever() -> None:
    """What only looks like a part of a message holds nothing up."""
    log = b"May  1 06:43:08 mx postfix/smtpd[1]: x stdout P y\n" * 3
    assert split_messages(log + b"half") == SplitMessages(log, len(log), 0)
    overlong = b"x" * LIMIT + b"\n"
    assert split_messages(log + overlong + log, limit=LIMIT) == SplitMessages(
        log + log, len(log + overlong + log), 0
    )


@pytest.mark.parametrize("write", [cri, docker])
def test_a_message_without_an_end_is_left_out(write: Write) -> None:
    """It holds other lines up for no longer than the limit, and never passes for a line."""
    begun, more = write("begun", "stdout", False), write("May 01 x", "stdout", False)
    other, end = write("other", "stderr", True), write("May 01 y", "stdout", True)
    log = begun + 3 * (other + more) + other
    lines, position, inside = split_messages(log, limit=LIMIT)
    assert whole_lines([lines]) == 4 * [join_parts(other)[:-1]]
    assert position == len(log)
    for rest in (end + other, more + end + other):
        lines, position, left = split_messages(log + rest, len(log), inside, LIMIT)
        assert (whole_lines([lines]), left) == ([join_parts(other)[:-1]], 0)
        assert position == len(log + rest)


def test_an_overlong_line_ends_the_wait() -> None:
    """A line that is left out holds nothing up, and as a last part it ends its message."""
    begun, huge, after = cri("begun", final=False), cri(LIMIT * "x"), cri("after")
    lines, position, inside = split_messages(begun + huge[:-1], limit=LIMIT)
    assert (lines, position) == (b"\n", len(begun + huge) - 1)
    assert split_messages(b"x\n" + after, 0, inside, LIMIT) == SplitMessages(
        after, len(after) + 2, 0
    )
    assert whole_lines(read(begun + huge + after, [], LIMIT)) == [after[:-1]]


def test_what_is_left_out_is_known_wherever_reading_resumes() -> None:
    """The position before one message is inside another one that is left out: it stays so."""
    lost, begun = cri(LIMIT * "x", "stderr", False), cri("a", final=False)
    log = lost + begun + cri("May 01 y", "stderr") + cri("b") + cri("c", "stderr")
    wanted = [cri("ab")[:-1], cri("c", "stderr")[:-1]]
    for seen in range(len(log)):
        assert whole_lines(read(log, [seen], LIMIT)) == wanted


@pytest.mark.parametrize("write", [cri, docker])
def test_a_part_that_is_overlong_takes_its_message_with_it(write: Write) -> None:
    """The end of a message whose start was left out as an overlong line is no line."""
    message = Message("stdout", "x" * 300 + "May 01 06:43:08 mx sshd[1]: y", (300,))
    log = b"".join(message.lines(write)) + write("next", "stdout", True)
    for piece in (1, 7, 60, LIMIT + 1, len(log)):
        found = whole_lines(read(log, [piece] * len(log), LIMIT))
        assert found == [join_parts(write("next", "stdout", True))[:-1]]


def reach(log: list[Written]) -> int:
    """The longest stretch (bytes) that is one line, or in which some message was unfinished."""
    longest, length, unfinished = 0, 0, set[str]()
    for line, stream, message in log:
        length = length + len(line) if unfinished else len(line)
        longest = max(longest, length)
        (unfinished.add if message is None else unfinished.discard)(stream)
    return longest


SIZES = st.lists(st.integers(1, 120), max_size=60)


@given(logs(), SIZES)
def test_messages_come_out_as_they_went_in(log: list[Written], sizes: list[int]) -> None:
    """However a log is cut up, by its runtime and by our reads, its messages come out."""
    data = b"".join(one.line for one in log)
    sent = [one.message.plain() for one in log if one.message is not None]
    assert whole_lines(read(data, sizes, 100_000)) == sent


@given(logs(), SIZES)
@example(
    written(
        [Message("stdout", "a", (1,)), Message("stderr", "b", (1,))],
        [False, True, False, True],
        cri,
    ),
    [130],
)
def test_no_part_ever_passes_for_a_message(log: list[Written], sizes: list[int]) -> None:
    """With a limit that is often too narrow, what comes out is whole, and the same each time."""
    data = b"".join(one.line for one in log)
    sent = [one.message.plain() for one in log if one.message is not None]
    found = whole_lines(read(data, sizes, LIMIT))
    left = iter(sent)
    assert all(line in left for line in found)
    assert found == whole_lines(read(data, [], LIMIT))
    if reach(log) <= LIMIT:
        assert found == sent

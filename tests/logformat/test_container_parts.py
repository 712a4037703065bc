"""Container logs: parts are joined, docker's form becomes CRI's, other logs are left alone."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbanned.logformat.messages import MAX_MESSAGE, join_parts, split_messages
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Line
from tests.runtimes import STAMP, Write, Written, cri, docker, logs

OUT, ERR = STAMP + b" stdout F ", STAMP + b" stderr F "


def whole(data: bytes) -> int:
    """The offset up to which data consists of whole messages."""
    return split_messages(data).end


@pytest.mark.parametrize("write", [cri, docker])
def test_parts_become_one_line_where_the_last_one_stood(write: Write) -> None:
    """Each stream's parts are joined in the line of the last one; line numbers stay."""
    log = [
        write("one, ", "stdout", False),
        write("other", "stderr", True),
        write("two, ", "stdout", False),
        write("of another, ", "stderr", False),
        write("three", "stdout", True),
        write("more", "stderr", True),
    ]
    assert join_parts(b"".join(log)).split(b"\n") == [
        b"", ERR + b"other", b"", b"", OUT + b"one, two, three", ERR + b"of another, more", b"",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"half",
        b"May  1 06:43:08 mx postfix/smtpd[1]: x stdout P y stderr P \n",
        b'May  1 06:43:08 mx postfix/smtpd[1]: {"log":"x"}\n{"LOG":"x"}\n',
        b"2026-05-01T06:43:08.123456+02:00 mx x[1]: 2026-05-01T06:43:08Z stdout P x\n",
        b"2026-05-01T06:43:08Z stdout X x\nstdout P x\n stdout P x\n",
        cri("a") + cri(" stdout P b") + cri("c", "stderr"),
    ],
)
def test_where_nothing_is_cut_up_nothing_is_touched(block: bytes) -> None:
    """A block without parts and without docker's lines is handed back itself, whole as it is."""
    assert join_parts(block) is block
    assert whole(block) == block.rfind(b"\n") + 1


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"log":"a\\n","stream":"stdout","time":"%b"}', b"a"),
        (b'{"log":"\\n","stream":"stdout","time":"%b"}', b""),
        (b'{"log":"a\\r\\n","stream":"stdout","time":"%b"}\r', b"a\r"),
        (b'{"log":"a\\nb\\n\\n","stream":"stdout","time":"%b"}', b"a\\nb\\n"),
        (
            b'{"log":"\\u003ca\\u003e \\"b\\" \\\\n\\n","stream":"stdout","time":"%b"}',
            b'<a> "b" \\n',
        ),
        (b'{"log":"\\u0000\\u000a\\u2028\\n","stream":"stdout","time":"%b"}', b"\0\\n\xe2\x80\xa8"),
        (b'{"log":"\\ud800 \xff\\t\\n","stream":"stdout","time":"%b"}', b"? \xef\xbf\xbd\t"),
        (b'{"log":"a\\n","stream":"stdout","attrs":{"tag":"}\\"{","b":"c"},"time":"%b"}', b"a"),
        (b'{"log":"a\tb\xff\\n","stream":"stdout","time":"%b"}', b"a\tb\xff"),
        (b'{"log":"\\"a\tb\\n","stream":"stdout","time":"%b"}', b'"a\tb'),
    ],
)
def test_the_text_of_docker_lines(line: bytes, text: bytes) -> None:
    """Escapes are resolved, and nothing that a text contains makes a line of its own."""
    assert join_parts(line % STAMP + b"\n") == OUT + text + b"\n"


@pytest.mark.parametrize(
    "line",
    [
        b'{"log":"a\\n","stream":"stdout"}',
        b'{"log":"a\\n","stream":"stdin","time":"2026-05-01T04:43:08Z"}',
        b'{"log":"a\\n","stream":"stdout","time":"today"}',
        b'{"log":"a\\x\\n","stream":"stdout","time":"2026-05-01T04:43:08Z"}',
        b'{"log":"a","stream":"stdout","time":"2026-05-01T04:43:08Z"',
        b'{"log":"a"b\\n","stream":"stdout","time":"2026-05-01T04:43:08Z"}',
        b'{"log":"' + b'[{"":' * 20_000,
    ],
)
def test_what_docker_would_not_write_stays_as_it_is(line: bytes) -> None:
    """A broken line is no message, and spoils none."""
    parts = docker("one, ", final=False), line + b"\n", docker("two")
    assert join_parts(b"".join(parts)) == b"\n" + line + b"\n" + OUT + b"one, two\n"
    assert whole(line + b"\n") == len(line) + 1


def test_a_backslash_and_an_n_are_not_a_line_break() -> None:
    r"""A part that ends in the two characters \n is still a part."""
    log = docker("one\\n", final=False) + docker("May  1 06:43:08 mx sshd[1]: two")
    assert join_parts(log) == b"\n" + OUT + b"one\\nMay  1 06:43:08 mx sshd[1]: two\n"


def test_messages_without_an_end_are_no_lines() -> None:
    """Parts whose end is missing leave empty lines behind, also without a last LF."""
    assert join_parts(cri("a", final=False) + cri("b", "stderr")) == b"\n" + ERR + b"b\n"
    assert join_parts(cri("b", "stderr") + cri("a", final=False)[:-1]) == ERR + b"b\n"


@pytest.mark.parametrize("write", [cri, docker])
def test_a_message_has_its_limit(write: Write) -> None:
    """A message of 64 KiB is joined, one byte more is left out, and the next one is not."""
    piece = "x" * (MAX_MESSAGE // 4)
    parts = [write(piece, "stdout", False)] * 4
    end, more, after = (write(text, "stdout", True) for text in ("", "y", "z"))
    assert join_parts(b"".join([*parts, end, after])).split(b"\n")[4:] == [
        OUT + 4 * piece.encode(), OUT + b"z", b"",
    ]  # fmt: skip
    assert join_parts(b"".join([*parts, more, after])) == 5 * b"\n" + OUT + b"z\n"


def test_the_rest_of_a_long_recipient_is_no_line() -> None:
    """Wherever a runtime cuts a message, the address is that of the client who sent it."""
    inner = (
        "May 01 06:43:08 mx postfix/smtpd[1]: warning: unknown[198.51.100.9]: SASL LOGIN failed: x"
    )
    start = "May 01 06:43:08 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[203.0.113.5]: "
    message = f"{start}554 5.7.1 <a{inner}>: Relay access denied"
    for write in (cri, docker):
        for at in range(len(message) + 1):
            parts = write(message[:at], "stdout", False), write(message[at:], "stdout", True)
            assert whole(parts[0]) == whole(parts[0] + parts[1][:-1]) == 0
            lines = join_parts(b"".join(parts)).split(b"\n")
            found = [Line(*LineParser(UTC).parse(line, 1, 1_777_640_000.0)).text for line in lines]
            assert found == [b"", message.partition(" mx ")[2].encode(), b""]


@given(logs())
def test_what_was_cut_up_is_put_together(log: list[Written]) -> None:
    """Every message is in the line in which it ended, as it was before it was split."""
    expected = [b"" if one.message is None else one.message.plain() for one in log]
    assert join_parts(b"".join(one.line for one in log)).split(b"\n") == [*expected, b""]


@given(logs(), st.data())
def test_blocks_may_end_wherever_messages_are_whole(
    log: list[Written], data: st.DataObject
) -> None:
    """What is whole of the start of a log, and the rest, are the same as all of it at once."""
    block = b"".join(one.line for one in log)
    seen = data.draw(st.integers(0, len(block)))
    end = whole(block[:seen])
    assert end == 0 or block[end - 1 : end] == b"\n"
    assert join_parts(block[:end]) + join_parts(block[end:]) == join_parts(block)
    if not any(one.message is None for one in log):
        assert end == block.rfind(b"\n", 0, seen) + 1
    assert whole(block) == len(block)


FRAGMENTS = st.lists(
    st.sampled_from([
        STAMP, b" stdout P ", b" stderr F ", b" ", b"\n", b'{"log":"', b"x", b'\\n",', b'"', b"\\",
        b'"stream":"stdout",', b'"time":"', b'"}', b"\r", b"\0", b"\xff", b'{"log":["',
    ]) | st.binary(max_size=3),
    max_size=40,
).map(b"".join)  # fmt: skip


@given(FRAGMENTS)
def test_nothing_raises_and_no_line_is_made_up(block: bytes) -> None:
    """Whatever a log holds, its lines stay as they are, become empty, or begin with a stamp."""
    before, after = block.split(b"\n"), join_parts(block).split(b"\n")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert new in (old, b"") or new.startswith((OUT, ERR))
    assert 0 <= whole(block) <= len(block)


@given(st.lists(st.sampled_from([cri("a"), cri("b", final=False), cri("c", "stderr"), b"plain\n"])))
def test_split_messages_are_joined(lines: list[bytes]) -> None:
    """The whole messages at the start of a log are split off as `join_parts` returns them."""
    data = b"".join(lines) + b"begun"
    assert split_messages(data).lines == join_parts(data[: whole(data)])

"""Container runtimes as the tests need them: they write messages, in as many parts as is wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

STAMP = b"2026-05-01T06:43:08.123456789+02:00"
STREAMS = ("stdout", "stderr")
#: Writes a line: (text, stream, whether the message ends with it).
Write = Callable[[str, str, bool], bytes]


def cri(text: str, stream: str = "stdout", final: bool = True) -> bytes:
    """A line of containerd and CRI-O."""
    return STAMP + f" {stream} {'F' if final else 'P'} {text}\n".encode()


def docker(text: str, stream: str = "stdout", final: bool = True) -> bytes:
    """A line of docker's json-file, with the escapes that docker uses."""
    quoted = json.dumps(text + "\n" * final, ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        quoted = quoted.replace(sign, f"\\u{ord(sign):04x}")
    return b'{"log":%b,"stream":"%b","time":"%b"}\n' % (quoted.encode(), stream.encode(), STAMP)


class Message(NamedTuple):
    """What a program writes at once, and the places at which its runtime cuts it."""

    stream: str
    text: str
    cuts: tuple[int, ...] = ()

    def plain(self) -> bytes:
        """The line (without LF) that it is to become."""
        return cri(self.text, self.stream)[:-1]

    def lines(self, write: Write) -> list[bytes]:
        """The lines that its runtime writes."""
        places = [0, *sorted(min(cut, len(self.text)) for cut in self.cuts), len(self.text)]
        parts = [self.text[a:b] for a, b in pairwise(places)]
        return [write(part, self.stream, at == len(self.cuts)) for at, part in enumerate(parts)]


class Written(NamedTuple):
    """A line, its stream, and the message that is whole with it."""

    line: bytes
    stream: str
    message: Message | None


def written(sent: Iterable[Message], turns: Sequence[bool], write: Write) -> list[Written]:
    """The log of these messages. turns: which stream writes a line, while both have some."""
    queues: dict[str, list[Written]] = {stream: [] for stream in STREAMS}
    for message in sent:
        *parts, last = message.lines(write)
        queues[message.stream] += [Written(part, message.stream, None) for part in parts]
        queues[message.stream].append(Written(last, message.stream, message))
    log, turn = [], iter(turns)
    while any(queues.values()):
        stream = STREAMS[next(turn, False)]
        log.append((queues[stream] or next(filter(None, queues.values()))).pop(0))
    return log


def messages(most: int = 8) -> st.SearchStrategy[list[Message]]:
    """Messages whose texts do their best to be taken for something else."""
    pieces = (
        "a", " ", "\u00e4\u2028\x85\U0001f600\ufffd", "\\", "\\n", '"', "\0", "\r", "<&>",
        " stdout P ", " stderr F ", '","stream":"stdout"', cri("x", final=False).decode()[:-1],
        docker("x").decode()[:-1],
    )  # fmt: skip
    texts = st.lists(st.sampled_from(pieces), max_size=12).map("".join)
    cuts = st.lists(st.integers(0, 99), max_size=4).map(tuple)
    return st.lists(st.builds(Message, st.sampled_from(STREAMS), texts, cuts), max_size=most)


def logs() -> st.SearchStrategy[list[Written]]:
    """Logs of any messages, by either kind of runtime, the streams in any order."""
    turns = st.lists(st.booleans(), max_size=40)
    return st.builds(written, messages(), turns, st.sampled_from([cri, docker]))

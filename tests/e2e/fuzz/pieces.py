"""Bytes that look like logs and requests: the shipped samples and real requests, and what becomes
of them when they are cut, doubled, swapped and mixed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from tests.filters.shipped import NAMES, shipped

#: Every sample of every shipped filter, each a line (or a cut-up one: several) without its end.
SAMPLES = tuple(
    dict.fromkeys(sample.line for name in NAMES for sample in shipped(name).samples)
)  # fmt: skip
LINES = tuple(sample + b"\n" for sample in SAMPLES)


def _request(command: str, **arguments: Any) -> bytes:
    return json.dumps({"version": 1, "command": command, "arguments": arguments}).encode()


#: One request for each thing that the daemon can be asked.
REQUESTS = (
    _request("status"),
    _request("status", jail="sshd"),
    _request("ban", addresses=["192.0.2.7", "2001:db8::7"], reason="a guest"),
    _request("ban", addresses=["192.0.2.0/24"], jail="sshd", **{"for": 3600.0}),
    _request("ban", addresses=["::ffff:192.0.2.7"], **{"for": None}),
    _request("unban", addresses=["192.0.2.7"], jail="manual"),
    _request("unban", all=True),
    _request("why", address="2001:db8::/48"),
)

_GLUE = (
    b"",
    b" ",
    b"\n",
    b"\r\n",
    b"]",
    b"[",
    b": ",
    b"<",
    b">",
    b",",
    b'"',
    b"\\",
    b"\0",
    b"\xff",
)


def mixed(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """The data, changed in a few places."""
    for _ in range(chance.randint(1, 4)):
        data = chance.choice(_CHANGES)(chance, data, chance.choice(seeds))
    return data


def _part(chance: random.Random, data: bytes) -> tuple[int, int]:
    """Where a part begins and ends; often at a space or at the end of a line."""
    ends = [at for at, byte in enumerate(data) if byte in b" \n"] or [0]
    one, other = (
        chance.choice(ends) if chance.random() < 0.6 else chance.randint(0, len(data))
        for _ in range(2)
    )
    return min(one, other), max(one, other)


def _cut(chance: random.Random, data: bytes, _seed: bytes) -> bytes:
    start, end = _part(chance, data)
    return data[:start] + data[end:]


def _double(chance: random.Random, data: bytes, _seed: bytes) -> bytes:
    start, end = _part(chance, data)
    return data[:end] + data[start:]


def _swap(chance: random.Random, data: bytes, _seed: bytes) -> bytes:
    start, end = _part(chance, data)
    middle = chance.randint(start, end)
    return data[:start] + data[middle:end] + data[start:middle] + data[end:]


def _splice(chance: random.Random, data: bytes, seed: bytes) -> bytes:
    start, end = _part(chance, data)
    begin, stop = _part(chance, seed)
    return data[:start] + seed[begin:stop] + data[end:]


def _join(chance: random.Random, data: bytes, seed: bytes) -> bytes:
    return data + chance.choice(_GLUE) + seed


def _glue(chance: random.Random, data: bytes, _seed: bytes) -> bytes:
    start, _ = _part(chance, data)
    return data[:start] + chance.choice(_GLUE) + data[start:]


def _flip(chance: random.Random, data: bytes, _seed: bytes) -> bytes:
    start, _ = _part(chance, data)
    return data[:start] + bytes([chance.randrange(256)]) + data[start + 1 :]


def _come_home(_: random.Random, data: bytes, _seed: bytes) -> bytes:
    """As if the host itself had failed."""
    return data.replace(b"203.0.113.5", b"127.0.0.1").replace(b"2001:db8::5", b"::1")


_CHANGES: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    _cut, _double, _swap, _splice, _splice, _join, _glue, _flip, _come_home,
)  # fmt: skip

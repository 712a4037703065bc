"""What must hold of any bytes that stand in a log: from block to ban.

Each check takes bytes and raises AssertionError (or whatever the program under test raises).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import cache
from ipaddress import ip_address
from typing import Any

from mailbanned.address import network_of, parse_address, subject_of
from mailbanned.filters import FilterSet
from mailbanned.jails import AccountCheck, Engine, JailSettings
from mailbanned.logformat.messages import join_parts, split_messages
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Ban, Failure, LogEvent, LoginSucceeded, OutageReported
from tests.filters import test_dovecot, test_postfix, test_sshd
from tests.filters.shipped import NAMES, NOW, shipped

#: Longer inputs only cost time.
LONGEST = 4096
_OUTAGE = {name for name in NAMES if shipped(name).outage}
_ADDRESS = re.compile(rb"[0-9A-Fa-f:.]+")


def check_block(data: bytes) -> None:
    """Nothing raises; how the bytes are cut into blocks does not matter; findings are of their
    line; and bans are of those who failed.
    """
    whole = join_parts(data[:LONGEST])
    found = list(_filters(0).read(whole, NOW))
    assert found == list(_in_blocks(data[:LONGEST])), "cut into blocks it reads otherwise"
    lines = whole.split(b"\n")
    for one in found:
        if one.address is not None:
            assert _stands_in(one.address, lines[one.number - 1]), f"{one} is made up"
    _check_bans(found)


@cache
def _set(_: int) -> FilterSet:
    return FilterSet([shipped(name) for name in NAMES], LineParser(UTC))


def _filters(which: int) -> FilterSet:
    """All shipped filters (one set or another)."""
    return _set(which)


def _in_blocks(data: bytes) -> Iterator[LogEvent]:
    """The findings of the smallest blocks that a reader may hand on."""
    filters, number = _filters(1), 1
    block = b""
    lines = data.split(b"\n")
    for at, line in enumerate(lines, start=1):
        block += line + (b"\n" if at < len(lines) else b"")
        if at == len(lines) or split_messages(block).end == len(block):
            yield from filters.read(join_parts(block), NOW, number)
            number += block.count(b"\n")
            block = b""


def _stands_in(address: str, line: bytes) -> bool:
    """Whether a line holds an address, however it is written there."""
    if address.encode() in line:
        return True
    return any(parse_address(text) == address for text in _ADDRESS.findall(line))


def _check_bans(found: list[LogEvent]) -> None:
    """What jails make of the findings, if the lines come now: only subjects of failures are
    banned, and none of them that must not be; every account asked for is a name that was tried.
    """
    remembers = any(not isinstance(event, Failure) for event in found)
    engine = _engine() if remembers else _shared_engine()
    failed = {one.address for one in found if isinstance(one, Failure)}
    for event in found:
        if isinstance(event, LoginSucceeded):
            engine.on_login(event, NOW)
            continue
        if isinstance(event, OutageReported):
            engine.on_outage(event, NOW, NOW)
            continue
        for decision in engine.observe("log", event, NOW, NOW):
            if isinstance(decision, AccountCheck):
                assert decision.user
                engine.resolve(decision, exists=False, now=NOW)
            elif isinstance(decision, Ban):
                assert decision.is_active(NOW)
    for ban in engine.ledger:
        network = network_of(ban.subject)
        assert any(ip_address(address) in network for address in failed)
        assert not network.is_loopback
        assert not network.is_unspecified
    engine.unban({subject_of(one, prefix) for one in failed for prefix in (64, 128)}, NOW)
    assert not list(engine.ledger)


def _engine() -> Engine:
    """Two jails for each filter: a strict one that bans at once, and one that waits for more."""
    return Engine(
        JailSettings(
            name=f"{name}{n}",
            source="log",
            filter=name,
            maxretry=n,
            unknown_accounts=strict,
            outage=name in _OUTAGE,
        )
        for name in NAMES
        for n, strict in ((1, True), (2, False))
    )


@cache
def _shared_engine() -> Engine:
    """For findings that are forgotten when everybody is let in again; making one takes long."""
    return _engine()


def _sshd(shape: Any, text: bytes) -> set[str | None]:
    line = shape.line(text, test_sshd.PEERS[2])
    return {found.address for found in _filters(0).read(join_parts(line), NOW)} - {
        test_sshd.PEERS[2].decode()
    }


def _postfix(shape: Any, text: bytes) -> set[str | None]:
    client = b"unknown[%b]" % test_postfix.PEER
    line = shape.filled(shape.tags[0], b"NOQUEUE", client, text)[: test_postfix.CUT_AT]
    found = test_postfix.found(line.replace(b"\n", b""))
    return {one.address for one in found} - {test_postfix.PEER.decode()}


def _dovecot(shape: Any, text: bytes) -> set[str | None]:
    found = test_dovecot.findings(shape, text.decode("utf-8", "replace"))
    return {one.address for one in found} - {test_dovecot.PEER}


_SHAPES: list[tuple[Callable[[Any, bytes], set[str | None]], Any]] = [
    *((_sshd, shape) for shape in test_sshd.SHAPES),
    *((_postfix, shape) for shape in test_postfix.SHAPES),
    *((_dovecot, shape) for shape in test_dovecot.SHAPES),
]


def check_name(data: bytes) -> None:
    """Whatever a client calls itself, no server's line reports anybody but the true peer.

    The first byte chooses the line that the server writes round the name.
    """
    reported, shape = _SHAPES[data[0] % len(_SHAPES)] if data else _SHAPES[0]
    others = reported(shape, data[1:LONGEST])
    assert not others, f"{others} in {shape.text!r}"


#: For each shape the beginnings of what `check_name` may be given.
NAME_SEEDS = tuple(
    bytes([number]) + text
    for number, (_, shape) in enumerate(_SHAPES)
    for text in (b"bob@example.org", test_sshd.ENDINGS[2], test_postfix.PIECES[2])
)

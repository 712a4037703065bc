"""What sshd writes round a name of the client's choice: whoever is reported is the true peer.

The lines are made as sshd makes them: names are cut at so many bytes, whatever is no printable
ASCII is escaped (by the unprivileged process and by its monitor, so some of it twice), and the
line is cut at 500 bytes. So an attacker may choose where a line ends.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.filters.shipped import failures, shipped

THIRD_PARTY = b"198.51.100.7"
# The last one begins with the address of somebody else.
PEERS = (b"203.0.113.5", b"2001:db8:1111:2222:3333:4444:5555:6666", b"198.51.100.77")
HEAD = b"May  1 06:43:08 mx sshd-session[77]: "
LONGEST = 500
_LETTERS = {0x5C: b"\\\\", 0x0A: b"\\n", 0x0D: b"\\r", 0x09: b"\\t", 0x08: b"\\b", 0x07: b"\\a",
            0x0B: b"\\v", 0x0C: b"\\f"}  # fmt: skip


def escaped(text: bytes) -> bytes:
    """As strnvis writes it."""
    return b"".join(
        _LETTERS.get(byte) or (b"%c" % byte if 0x20 <= byte < 0x7F else b"\\%03o" % byte)
        for byte in text
    )


class Shape(NamedTuple):
    """A message with %NAME and %PEER in it.

    most: so many bytes of a name are written. twice: it passes through the monitor.
    reports: the filters that report the peer, whatever the name is; perhaps: those that do so
    only if the name is harmless.
    """

    text: bytes
    most: int = 100
    twice: bool = False
    reports: frozenset[str] = frozenset({"sshd"})
    perhaps: frozenset[str] = frozenset()

    def line(self, name: bytes, peer: bytes = PEERS[0]) -> bytes:
        """The line that sshd writes."""
        name = name.replace(b"\0", b"")[: self.most]
        text = escaped(self.text.replace(b"%NAME", name).replace(b"%PEER", peer))[:1023]
        if self.twice:
            text = escaped(text + b" [preauth]")
        return HEAD + text[:LONGEST] + b"\n"


BOTH = frozenset({"sshd", "sshd-unknown"})
SSHD, NOBODY = frozenset({"sshd"}), frozenset[str]()
FAILED = b" for invalid user %NAME from %PEER port 50122 ssh2"
SHAPES = [
    Shape(b"Invalid user %NAME from %PEER port 50122", reports=BOTH),
    Shape(b"Failed password" + FAILED),
    Shape(b"Failed none" + FAILED),
    Shape(b"Failed keyboard-interactive/pam" + FAILED, perhaps=SSHD, reports=NOBODY),
    Shape(b"Failed password for %NAME from %PEER port 50122 ssh2"),
    Shape(b"User %NAME from %PEER not allowed because not listed in AllowUsers"),
    Shape(b"error: maximum authentication attempts exceeded for invalid user %NAME from %PEER "
          b"port 50122 ssh2", twice=True, perhaps=SSHD, reports=NOBODY),
    Shape(b"error: PAM: User not known to the underlying authentication module for illegal user "
          b"%NAME from %PEER", perhaps=SSHD, reports=NOBODY),
    Shape(b"Connection closed by invalid user %NAME %PEER port 50122", 187, True, NOBODY, SSHD),
    Shape(b"Disconnected from invalid user %NAME %PEER port 50122", 187, True, NOBODY, SSHD),
    Shape(b"Disconnecting invalid user %NAME %PEER port 1: Change of username or service not "
          b"allowed: (%NAME,ssh-connection) -> (%NAME,ssh-connection)", 187, True, NOBODY),
    Shape(b"Received disconnect from %PEER port 50122:11: %NAME", 400, True, NOBODY),
    Shape(b"Bad protocol version identification '%NAME' from %PEER port 40000", 200, False, NOBODY),
    Shape(b"error: kex_exchange_identification: client sent invalid protocol identifier "
          b'"%NAME"', 256, True, NOBODY),
    Shape(b"Failed publickey for root from %PEER port 50122 ssh2: RSA-CERT SHA256:AA ID %NAME "
          b"(serial 0) CA RSA SHA256:BB", 300, False, NOBODY),
    Shape(b"User %NAME from mail.example.net not allowed because listed in DenyUsers",
          reports=NOBODY),
    Shape(b"error: PAM: Authentication failure for %NAME from mail.example.net", reports=NOBODY),
]  # fmt: skip

# What an attacker would put into a name: the ends of messages, with somebody else's address.
ENDINGS = [
    b" " + THIRD_PARTY + b" port 22 [preauth]",
    b" from " + THIRD_PARTY,
    b" from " + THIRD_PARTY + b" port 22",
    b" from " + THIRD_PARTY + b" port 22 ssh2",
    b" from " + THIRD_PARTY + b" port 22 ssh2 [preauth]",
    b" from " + THIRD_PARTY + b" not allowed because listed in DenyUsers",
]
MESSAGES = [
    sample.line.replace(PEERS[0], THIRD_PARTY).removeprefix(start)
    for sample in shipped("sshd").samples
    for start in (b"", b"May  1 06:43:08 mx ", HEAD)
]
NAMES = st.lists(
    st.sampled_from([*ENDINGS, *MESSAGES, b"\n", b"\\n", b" ", b"\\", b"invalid user "])
    | st.binary(max_size=20),
    max_size=5,
).map(b"".join)


def reported(line: bytes) -> dict[str, str]:
    """The address that each filter of sshd reports."""
    return {f.pattern.split("/")[0]: f.address for f in failures(line, "sshd", "sshd-unknown")}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.text.decode())
@given(name=NAMES, peer=st.sampled_from(PEERS))
def test_nobody_but_the_peer_is_reported(shape: Shape, name: bytes, peer: bytes) -> None:
    """Whatever the name is, the filters that should name the peer do, and no other address is."""
    found = reported(shape.line(name, peer))
    assert set(found.values()) <= {peer.decode()}
    assert shape.reports <= set(found) <= shape.reports | shape.perhaps


@pytest.mark.parametrize(
    "shape", [s for s in SHAPES if s.most > 100], ids=lambda shape: shape.text.decode()
)
def test_a_name_that_fills_the_line_frames_nobody(shape: Shape) -> None:
    """A name made for it ends the line wherever its owner likes, but does not report another."""
    ended = False
    for peer, ending, escape in product(PEERS, ENDINGS, (b"\\", b"\x01", b"\n")):
        before = len(shape.text.partition(b"%NAME")[0].replace(b"%PEER", peer))
        grown = len(escaped(escaped(escape)) if shape.twice else escaped(escape))
        escapes, plain = divmod(LONGEST - before - len(ending), grown)
        line = shape.line(escape * escapes + b"n" * plain + ending + b" and more", peer)
        ended |= line.endswith(ending + b"\n")
        assert set(reported(line).values()) <= {peer.decode()}
    assert ended


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.text.decode())
def test_a_cut_address_is_nobodys(shape: Shape) -> None:
    """Where the cut goes through the peer's own address, what is left of it is not reported."""
    for peer, escapes, plain in product(PEERS, range(75, 101), range(5)):
        line = shape.line(b"n" * plain + b"\x01" * escapes, peer)
        assert set(reported(line).values()) <= {peer.decode()}


@pytest.mark.parametrize(
    "shape", [s for s in SHAPES if s.reports or s.perhaps], ids=lambda shape: shape.text.decode()
)
@pytest.mark.parametrize("name", [b"admin", b"", b"-", b"invalid", b"bob@example.org", b"a.b_c$"])
def test_an_ordinary_name_is_reported(shape: Shape, name: bytes) -> None:
    """No line is so careful that it lets common names pass."""
    (found, *_) = failures(shape.line(name), "sshd")
    assert (found.address, found.user) == (PEERS[0].decode(), name.decode() or None)
    assert found.session == "77"

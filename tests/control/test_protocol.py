"""What is said over the socket, both ways, and what no peer can do with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailbanned.control import ControlError, Denied, Refused, Unreachable, protocol

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NESTED = b'{"version":' * 100_000


@given(st.text(), st.dictionaries(st.text(), JSON, max_size=4))
def test_requests_arrive_as_sent(command: str, arguments: dict[str, Any]) -> None:
    """Any command and arguments arrive unchanged, in one line."""
    line = protocol.request(command, arguments)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert protocol.parse_request(line) == (command, arguments)


@given(JSON)
def test_answers_arrive_as_sent(result: Any) -> None:
    """Any result arrives unchanged, in one line."""
    line = protocol.answer(result)
    assert line.count(b"\n") == 1
    assert protocol.parse_answer(line) == result


@pytest.mark.parametrize("kind", [ControlError, Refused, Denied])
def test_errors_arrive_as_raised(kind: type[ControlError]) -> None:
    """An error of the daemon is raised at the other end as the same error with the same text."""
    with pytest.raises(ControlError) as caught:
        protocol.parse_answer(protocol.failure(kind("line one\nline two")))
    assert type(caught.value) is kind
    assert str(caught.value) == "line one\nline two"


def test_unknown_kinds_are_plain_errors() -> None:
    """A kind of error that this client does not know is a plain one; no peer is "unreachable"."""
    kinds: list[object] = ["new", Unreachable.kind, "", None, [], {}]
    for kind in kinds:
        line = json.dumps({"ok": False, "kind": kind, "error": "so"}).encode()
        with pytest.raises(ControlError, match=r"^so$") as caught:
            protocol.parse_answer(line)
        assert type(caught.value) is ControlError


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
@example(b"")
@example(NESTED)
@example(b"\xff\xfe\x00")
@example(b"1" * 5000)
@example(b'{"version": 1}')
@example(b'{"version": 1, "command": null}')
@example(b'{"version": 1, "command": "ban", "arguments": []}')
@example(b'[1, "version", "command"]')
def test_no_request(line: bytes) -> None:
    """Bytes that are no request are an error for whoever said them, and nothing worse."""
    with pytest.raises(ControlError, match=r"^(that is not a request$|the daemon speaks version)"):
        protocol.parse_request(line)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
@example(NESTED)
@example(b'{"ok": true}')
@example(b'{"ok": false}')
@example(b'{"ok": false, "kind": {}, "error": []}')
def test_no_answer(line: bytes) -> None:
    """Bytes that are no answer are an error, and nothing worse."""
    with pytest.raises(ControlError):
        protocol.parse_answer(line)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_versions(version: object) -> None:
    """Another version of the protocol is refused, with both versions named."""
    line = json.dumps({"version": version, "command": "status"}).encode()
    with pytest.raises(ControlError) as caught:
        protocol.parse_request(line)
    assert str(caught.value) == f"the daemon speaks version 1 of the protocol, not {version!r}"


def test_arguments_may_be_left_out() -> None:
    """A request without arguments has none."""
    assert protocol.parse_request(b'{"version": 1, "command": "status"}') == ("status", {})

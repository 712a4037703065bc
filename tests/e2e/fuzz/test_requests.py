"""Requests that no command line sends: the daemon refuses them in a sentence, and lives on."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.e2e.fuzz.pieces import REQUESTS, mixed
from tests.e2e.fuzz.requests import Listener, listening

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.sampled_from(["sshd", "manual", "192.0.2.7", "2001:db8::/32", "::/0", "0.0.0.0/7"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
ARGUMENTS = st.dictionaries(
    st.sampled_from(["addresses", "address", "jail", "for", "reason", "all"]), VALUES, max_size=4
)
# A request is short, and a daemon that failed once has nothing more to tell.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
ATTACKER = {"addresses": ["192.0.2.7"]}


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening() as one:
        yield one


@pytest.fixture
def mortal() -> Iterator[Listener]:
    with listening() as one:
        yield one


def request(command: str, arguments: dict[str, Any]) -> bytes:
    return json.dumps({"version": 1, "command": command, "arguments": arguments}).encode()


@settings(max_examples=60, phases=UNSHRUNK)
@given(st.sampled_from(REQUESTS), st.randoms(use_true_random=False))
def test_mutilated_requests(listener: Listener, said: bytes, chance: random.Random) -> None:
    """Cut, doubled, swapped and mixed requests are answered, and change nothing for the next."""
    listener.check(mixed(chance, said, REQUESTS))


@settings(max_examples=60, phases=UNSHRUNK)
@given(st.sampled_from(["status", "why", "ban", "unban"]), ARGUMENTS)
def test_any_arguments(listener: Listener, command: str, arguments: dict[str, Any]) -> None:
    """Whatever stands where an address or a jail should, it is refused or answered."""
    listener.check(request(command, arguments))


@pytest.mark.parametrize("addresses", [5, None])
def test_addresses_that_are_no_list(mortal: Listener, addresses: Any) -> None:
    """What is no list of addresses is refused."""
    mortal.check(request("ban", {"addresses": addresses}))


@pytest.mark.parametrize("seconds", ["x", math.inf, math.nan, 1e13])
def test_a_length_that_nobody_can_wait_for(mortal: Listener, seconds: Any) -> None:
    """A ban that is no number of seconds, or ends beyond all dates, is refused; nobody dies."""
    mortal.check(request("ban", {**ATTACKER, "for": seconds}))

"""What can be fuzzed: by name, what checks an input and the inputs to begin with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from tests.e2e.fuzz import lines, requests
from tests.e2e.fuzz.pieces import LINES, REQUESTS

Check = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """open: gives the check, for as long as its block lasts. example: how a test calls it."""

    open: Callable[[], AbstractContextManager[Check]]
    seeds: Sequence[bytes]
    example: str


TARGETS = {
    "lines": Target(lambda: nullcontext(lines.check_block), LINES, "lines.check_block({data!r})"),
    "names": Target(
        lambda: nullcontext(lines.check_name), lines.NAME_SEEDS, "lines.check_name({data!r})"
    ),
    "requests": Target(requests.checking, REQUESTS, "listener.check({data!r})"),
}

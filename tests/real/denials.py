"""Reads what `nft -j list chain` says of firewalld's rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def sources(items: list[Any]) -> Iterator[str]:
    """The source networks that the rules match."""
    for item in items:
        for part in item.get("rule", {}).get("expr", ()):
            match = part.get("match", {})
            if "payload" in match.get("left", ()) and match["left"]["payload"]["field"] == "saddr":
                right = match["right"]
                if isinstance(right, dict):
                    yield f"{right['prefix']['addr']}/{right['prefix']['len']}"
                else:
                    yield f"{right}/{128 if ':' in right else 32}"

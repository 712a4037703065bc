"""Was everybody banned who had to be, and nobody else? Compares; no I/O."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tests.demo.attacks import Verdict


def banned(status: dict[str, Any]) -> set[Verdict]:
    """Who is banned by which jail, as `mailbanned status --json` says."""
    return {(jail["name"], ban["address"]) for jail in status["jails"] for ban in jail["bans"]}


def in_force(status: dict[str, Any]) -> set[Verdict]:
    """The same, as soon as the firewall has taken all of them; nobody before."""
    return banned(status) if status["firewall"]["pending"] == 0 else set()


def differences(
    expected: Collection[Verdict], said: Collection[Verdict], denied: Collection[str] | None
) -> list[str]:
    """What is not as it must be, a sentence each.

    said: the bans by the daemon's status. denied: the subjects that the kernel keeps out, None if
    there is no firewall to ask.
    """
    found = [f"{subject} is not banned by {jail}" for jail, subject in set(expected) - set(said)]
    found += [f"{subject} is banned by {jail}" for jail, subject in set(said) - set(expected)]
    if denied is not None:
        subjects = {subject for _, subject in expected}
        found += [f"the kernel does not keep {one} out" for one in subjects - set(denied)]
        found += [f"the kernel keeps {one} out" for one in set(denied) - subjects]
    return sorted(found)

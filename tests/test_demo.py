"""The show behind `./dev run`: its verdict, and the whole of it without a firewall."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.demo.verdict import banned, differences, in_force
from tests.waiting import HANG_S

ONE, TWO = "203.0.113.1/32", "203.0.113.2/32"


def status(pending: int = 0) -> dict[str, Any]:
    jail = {"name": "sshd", "bans": [{"address": ONE}, {"address": TWO}]}
    return {"jails": [jail], "firewall": {"pending": pending}}


def test_banned() -> None:
    """Bans are read from the status by jail, and count as in force once none is pending."""
    both = {("sshd", ONE), ("sshd", TWO)}
    assert banned(status()) == in_force(status()) == both
    assert in_force(status(pending=1)) == set()


@pytest.mark.parametrize(
    ("said", "denied", "found"),
    [
        ([("sshd", ONE)], [ONE], []),
        ([("sshd", ONE)], None, []),
        ([], None, [f"{ONE} is not banned by sshd"]),
        ([("sshd", ONE), ("sshd", TWO)], None, [f"{TWO} is banned by sshd"]),
        ([("dovecot", ONE)], None, [f"{ONE} is banned by dovecot", f"{ONE} is not banned by sshd"]),
        ([("sshd", ONE)], [], [f"the kernel does not keep {ONE} out"]),
        ([("sshd", ONE)], [ONE, TWO], [f"the kernel keeps {TWO} out"]),
    ],
)
def test_verdict(said: list[tuple[str, str]], denied: list[str] | None, found: list[str]) -> None:
    """Whoever is missing, and whoever is too much, in the status or in the kernel, is named."""
    assert differences({("sshd", ONE)}, said, denied) == found


def test_dry_run(tmp_path: Path) -> None:
    """Without a firewall the show says so, bans all attackers and nobody else, and cleans up."""
    show = subprocess.Popen(
        [sys.executable, "-m", "tests.demo", "--exit", "--dry-run"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    with show:
        try:
            out, err = show.communicate(timeout=5 * HANG_S)  # it waits itself, at several places
        finally:
            show.terminate()  # it takes its daemon along
    assert show.returncode == 0, out + err
    assert "firewall: dry-run, because --dry-run was given" in out
    assert "all 25 expected addresses are banned, and nobody else" in out
    assert "[dovecot-unknown] Ban 203.0.113.60" in err
    assert list(tmp_path.iterdir()) == []

"""`mailbanned check`: every error of a configuration, with the place where a sample stops."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import DOOR, Hall

MISMATCH = "May  1 06:43:08 mx door[1]: no entry for bob out of 192.0.2.1"


def problems(hall: Hall) -> list[dict[str, Any]]:
    """What `check --json` has against the configuration."""
    result = hall.run("check", "--json")
    assert (result.returncode, result.stderr) == (78, "")
    document = json.loads(result.stdout)
    assert (document["version"], document["ok"]) == (1, False)
    errors: list[dict[str, Any]] = document["errors"]
    return errors


def spoiled(hall: Hall, sample: str) -> Path:
    """The filter of the doors with one more sample."""
    return hall.write("filters/door.toml", f"{DOOR}\n{sample}\n")


def test_a_good_configuration(hall: Hall) -> None:
    """Each jail in a line, the resting ones too, and how many samples were run."""
    result = hall.run("check")
    assert (result.returncode, result.stdout) == (0, f"""\
{hall.config}: good
  door: 3 in 1h of doors (door) -> banned 1d
  strict: 1 in 1h of doors (door, unknown accounts only) -> banned permanent
  gate: 2 in 1h of gates (gate) -> banned 1h
  asleep: rests (enabled = false)
  2 filters, all 6 samples as they should be
""")  # fmt: skip
    assert "so strict cannot recognise unknown accounts" in result.stderr


def test_a_filter_that_no_jail_uses_is_pointed_out(hall: Hall) -> None:
    """Its samples were not run, so nobody should take it for good."""
    idle = hall.write("filters/idle.toml", "nonsense")
    result = hall.run("check")
    assert result.returncode == 0
    assert f"mailbanned: {idle} was not checked, since no jail uses it\n" in result.stderr
    assert any(
        "was not checked" in hint
        for hint in json.loads(hall.run("check", "--json").stdout)["hints"]
    )


def test_a_hit_that_does_not_match(hall: Hall) -> None:
    """The line, the pattern that comes furthest, and below it the place where it stops."""
    path = spoiled(hall, f'[[hits]]\nline = "{MISMATCH}"\naddress = "192.0.2.1"\nuser = "bob"')
    result = hall.run("check")
    assert (result.returncode, result.stdout) == (78, "")
    assert (
        result.stderr
        == f"""\
mailbanned: the configuration has 1 error:
  {path}: samples: hit does not match: {MISMATCH}; correct the pattern, or the sample if it is wrong
      pattern refused comes furthest:
      door[1]: no entry for bob out of 192.0.2.1
      {" " * 33}^ fits up to here; wanted: `from `
"""
    )
    (problem,) = problems(hall)
    assert (problem["file"], problem["key"]) == (str(path), "samples")
    assert problem["error"] == f"hit does not match: {MISMATCH}"
    assert problem["shown"].splitlines()[-1].endswith("^ fits up to here; wanted: `from `")


@pytest.mark.parametrize(
    ("sample", "error"),
    [
        ('[[misses]]\nline = "door[1]: no entry for bob from 192.0.2.1"',
         "miss matches (door/refused, 192.0.2.1): door[1]: no entry for bob from 192.0.2.1"),
        ('[[hits]]\nline = "door[1]: no entry for bob from 192.0.2.1"\naddress = "192.0.2.2"',
         "hit reports 192.0.2.1, user 'bob' instead of 192.0.2.2, user None: "),
        ('[[hits]]\nline = "door[1]: no entry at night"\naddress = "192.0.2.2"',
         "hit is ignore (door/closed) instead of failure: "),
    ],
)  # fmt: skip
def test_other_samples_that_are_wrong(hall: Hall, sample: str, error: str) -> None:
    """Each is one sentence with the pattern and the line."""
    spoiled(hall, sample)
    (problem,) = problems(hall)
    assert problem["error"].startswith(error)
    assert problem["remedy"]


def test_all_errors_come_at_once(hall: Hall) -> None:
    """Those of the main file and those of the samples, in the test of a log as well."""
    spoiled(hall, '[[misses]]\nline = "door[1]: no entry for bob from 192.0.2.1"')
    hall.config.write_text(hall.config.read_text().replace("maxretry = 2", "maxretry = 0"))
    assert {problem["key"] for problem in problems(hall)} == {"samples", "jails.gate.maxretry"}
    for command in (["check"], ["test", "-"]):
        result = hall.run(*command)
        assert result.returncode == 78
        assert result.stderr.startswith("mailbanned: the configuration has 2 errors:\n  /")


def test_samples_reach_no_terminal_raw(hall: Hall) -> None:
    """Hostile samples belong into a filter; their control characters are shown escaped."""
    spoiled(
        hall, '[[hits]]\nline = "door[1]: no entry for \\u001b[31m\\u009b"\naddress = "192.0.2.2"'
    )
    for options in ([], ["--json"]):
        result = hall.run("check", *options)
        assert (result.stdout + result.stderr).replace("\n", "").isprintable()
        assert re.search(r"no entry for \\(x|u00)1b\[31m", result.stdout + result.stderr)

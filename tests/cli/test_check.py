"""`mailbanned check`: every error of a configuration, with the place where a sample stops."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.demo_host import APP, DemoHost

MISMATCH = "May  1 06:43:08 mx app[1]: login failed for bob out of 192.0.2.1"


def problems(host: DemoHost) -> list[dict[str, Any]]:
    """The errors that `check --json` prints."""
    result = host.run("check", "--json")
    assert (result.returncode, result.stderr) == (78, "")
    document = json.loads(result.stdout)
    assert (document["version"], document["ok"]) == (1, False)
    errors: list[dict[str, Any]] = document["errors"]
    return errors


def add_sample(host: DemoHost, sample: str) -> Path:
    """The filter of `app` with one more sample."""
    return host.write("filters/app.toml", f"{APP}\n{sample}\n")


def test_a_good_configuration(host: DemoHost) -> None:
    """It prints each jail in a line, also disabled ones, and the number of samples."""
    result = host.run("check")
    assert (result.returncode, result.stdout) == (0, f"""\
{host.config}: OK
  app: 3 in 1h of app (app) -> banned 1d
  strict: 1 in 1h of app (app, unknown accounts only) -> banned permanent
  relay: 2 in 1h of relay (relay) -> banned 1h
  off: disabled
  2 filters, all 6 samples pass
""")  # fmt: skip
    assert "so strict cannot recognise unknown accounts" in result.stderr


def test_a_filter_that_no_jail_uses_is_pointed_out(host: DemoHost) -> None:
    """Its samples were not run, and that is reported."""
    idle = host.write("filters/idle.toml", "nonsense")
    result = host.run("check")
    assert result.returncode == 0
    assert f"mailbanned: {idle} was not checked, since no jail uses it\n" in result.stderr
    assert any(
        "was not checked" in hint
        for hint in json.loads(host.run("check", "--json").stdout)["hints"]
    )


def test_a_hit_that_does_not_match(host: DemoHost) -> None:
    """The line, the pattern that comes furthest, and below it the place where it stops."""
    path = add_sample(host, f'[[hits]]\nline = "{MISMATCH}"\naddress = "192.0.2.1"\nuser = "bob"')
    result = host.run("check")
    assert (result.returncode, result.stdout) == (78, "")
    assert (
        result.stderr
        == f"""\
mailbanned: the configuration has 1 error:
  {path}: samples: hit does not match: {MISMATCH}; correct the pattern, or the sample if it is wrong
      pattern login-failed comes furthest:
      app[1]: login failed for bob out of 192.0.2.1
      {" " * 36}^ fits up to here; wanted: `from `
"""
    )
    (problem,) = problems(host)
    assert (problem["file"], problem["key"]) == (str(path), "samples")
    assert problem["error"] == f"hit does not match: {MISMATCH}"
    assert problem["shown"].splitlines()[-1].endswith("^ fits up to here; wanted: `from `")


@pytest.mark.parametrize(
    ("sample", "error"),
    [
        ('[[misses]]\nline = "app[1]: login failed for bob from 192.0.2.1"',
         "miss matches (app/login-failed, 192.0.2.1): app[1]: login failed for bob from 192.0.2.1"),
        ('[[hits]]\nline = "app[1]: login failed for bob from 192.0.2.1"\naddress = "192.0.2.2"',
         "hit reports 192.0.2.1, user 'bob' instead of 192.0.2.2, user None: "),
        ('[[hits]]\nline = "app[1]: login failed: rate limit"\naddress = "192.0.2.2"',
         "hit is ignore (app/rate-limit) instead of failure: "),
    ],
)  # fmt: skip
def test_other_samples_that_are_wrong(host: DemoHost, sample: str, error: str) -> None:
    """Each is one sentence with the pattern and the line."""
    add_sample(host, sample)
    (problem,) = problems(host)
    assert problem["error"].startswith(error)
    assert problem["remedy"]


def test_all_errors_come_at_once(host: DemoHost) -> None:
    """Those of the main file and those of the samples, in the test of a log as well."""
    add_sample(host, '[[misses]]\nline = "app[1]: login failed for bob from 192.0.2.1"')
    host.config.write_text(host.config.read_text().replace("maxretry = 2", "maxretry = 0"))
    assert {problem["key"] for problem in problems(host)} == {"samples", "jails.relay.maxretry"}
    for command in (["check"], ["test", "-"]):
        result = host.run(*command)
        assert result.returncode == 78
        assert result.stderr.startswith("mailbanned: the configuration has 2 errors:\n  /")


def test_samples_reach_no_terminal_raw(host: DemoHost) -> None:
    """Hostile samples belong into a filter; their control characters are shown escaped."""
    add_sample(
        host,
        '[[hits]]\nline = "app[1]: login failed for \\u001b[31m\\u009b"\naddress = "192.0.2.2"',
    )
    for options in ([], ["--json"]):
        result = host.run("check", *options)
        assert (result.stdout + result.stderr).replace("\n", "").isprintable()
        assert re.search(r"login failed for \\(x|u00)1b\[31m", result.stdout + result.stderr)

"""A host with two demo services, `app` and `relay`: small filters, a configuration, and logs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import MAILBANNED, Completed, cli
from tests.waiting import HANG_S

A, B, C, D = "203.0.113.5", "203.0.113.6", "203.0.113.7", "203.0.113.8"

#: Catches `login failed for USER from ADDRESS`; the number behind the name is the session.
APP = r"""
description = "A service with logins"
tag = 'app\[<SESSION>\d+</SESSION>\]: '
outage = true
suspects = ["login failed"]

[[patterns]]
name = "rate-limit"
kind = "ignore"
match = 'login failed: rate limit'

[[patterns]]
name = "login-failed"
match = 'login failed for <USER> from <ADDR>'

[[patterns]]
name = "wrong-password"
match = 'wrong password of <USER> from <ADDR>'

[[patterns]]
name = "login-ok"
kind = "success"
match = 'login ok for <USER> from <ADDR>'

[[patterns]]
name = "no-database"
kind = "outage"
match = 'database unavailable'

[[hits]]
line = "May  1 06:43:08 mx app[1]: login failed: rate limit"
kind = "ignore"

[[hits]]
line = "May  1 06:43:08 mx app[1]: login failed for bob from 192.0.2.1"
address = "192.0.2.1"
user = "bob"

[[hits]]
line = "May  1 06:43:08 mx app[1]: wrong password of bob from 192.0.2.1"
address = "192.0.2.1"
user = "bob"

[[hits]]
line = "May  1 06:43:08 mx app[1]: login ok for bob from 192.0.2.1"
kind = "success"
address = "192.0.2.1"
user = "bob"

[[hits]]
line = "May  1 06:43:08 mx app[1]: database unavailable"
kind = "outage"
"""

#: Catches `rejected ADDRESS`, without a user and in an outage too.
RELAY = r"""
description = "A relay"
tag = 'relay: '
suspects = ["reject", "login failed"]

[[patterns]]
name = "rejected"
match = 'rejected <ADDR>'

[[hits]]
line = "May  1 06:43:08 mx relay: rejected 192.0.2.1"
address = "192.0.2.1"
"""

CONFIG = """
[defaults]
ignore = ["198.51.100.0/24"]

[sources.app]
path = "/var/log/app"
timezone = "UTC"

[sources.relay]
path = "/var/log/relay"
timezone = "UTC"

[jails.app]
source = "app"
filter = "app"

[jails.strict]
source = "app"
filter = "app"
accounts = "unknown"
maxretry = 1
bantime = "permanent"

[jails.relay]
source = "relay"
filter = "relay"
maxretry = 2
bantime = "1h"

[jails.off]
enabled = false
source = "relay"
filter = "relay"
maxretry = 1
"""


class DemoHost:
    """A directory with a configuration and logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = self.write("mailbanned.toml", CONFIG)
        self.write("filters/app.toml", APP)
        self.write("filters/relay.toml", RELAY)

    def write(self, name: str, data: str | bytes) -> Path:
        """Writes a file of the directory."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def log(self, *lines: str, name: str = "log") -> Path:
        """Writes a log of these lines."""
        return self.write(name, "".join(f"{line}\n" for line in lines))

    def run(self, *arguments: object, stdin: str | bytes = "") -> Completed:
        """`mailbanned ARGUMENTS` with the folder's configuration."""
        return cli("-c", str(self.config), *map(str, arguments), stdin=stdin)

    def text(self, *arguments: object, stdin: str | bytes = "") -> str:
        """What `mailbanned test ARGUMENTS` prints."""
        result = self.run("test", *arguments, stdin=stdin)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def lines(self, *arguments: object) -> list[dict[str, Any]]:
        """What `mailbanned test ARGUMENTS` prints, one document a line."""
        return [json.loads(line) for line in self.text(*arguments).splitlines()]

    def document(self, *arguments: object, stdin: str | bytes = "") -> dict[str, Any]:
        """What `mailbanned test --json ARGUMENTS` prints."""
        found: dict[str, Any] = json.loads(self.text("--json", *arguments, stdin=stdin))
        return found

    def jail(self, name: str, *arguments: object) -> dict[str, Any]:
        """What one jail finds."""
        (jail,) = self.document("--jail", name, *arguments)["jails"]
        assert jail["name"] == name
        found: dict[str, Any] = jail
        return found

    def refusal(self, *arguments: object, status: int, stdin: str | bytes = "") -> str:
        """The sentence with which `mailbanned test ARGUMENTS` fails."""
        result = self.run("test", *arguments, stdin=stdin)
        assert (result.returncode, result.stdout) == (status, "")
        (sentence,) = result.stderr.splitlines()
        return sentence.removeprefix("mailbanned: ")

    def terminal(self, *arguments: object, columns: int = 100, **env: str) -> str:
        """What `mailbanned ARGUMENTS` prints on a terminal, errors included."""
        command = shlex.join([MAILBANNED, "-c", str(self.config), *map(str, arguments)])
        result = subprocess.run(
            ["script", "-qec", command, "/dev/null"], stdin=subprocess.DEVNULL,
            capture_output=True, timeout=HANG_S, check=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns), **env},
        )  # fmt: skip
        return result.stdout.decode("utf-8", "replace")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[DemoHost]:
    """A host in UTC, with two filters and four jails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        patch.delenv("NO_COLOR", raising=False)
        yield DemoHost(tmp_path)
    time.tzset()  # commands in this process have set the zone


def at(clock: str, text: str) -> str:
    """A line of 1 May 2026, UTC; clock: "06:43:08"."""
    return f"2026-05-01T{clock}+00:00 mx {text}"


def failed(clock: str, address: str = A, user: str = "bob", session: int = 1) -> str:
    """A failed login at `app`."""
    return at(clock, f"app[{session}]: login failed for {user} from {address}")


def rejected(clock: str, address: str = A) -> str:
    """A failure at `relay`."""
    return at(clock, f"relay: rejected {address}")

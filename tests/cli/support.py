"""A hall with doors: own small filters and logs for `mailbanned test`, `check` and `--explain`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from tests.command import MAILBANNED, Completed, cli
from tests.waiting import HANG_S

A, B, C, D = "203.0.113.5", "203.0.113.6", "203.0.113.7", "203.0.113.8"

#: Catches `no entry for USER from ADDRESS`; the number behind the name is the session.
DOOR = r"""
description = "Doors that do not open"
tag = 'door\[<SESSION>\d+</SESSION>\]: '
outage = true
suspects = ["no entry"]

[[patterns]]
name = "closed"
kind = "ignore"
match = 'no entry at night'

[[patterns]]
name = "refused"
match = 'no entry for <USER> from <ADDR>'

[[patterns]]
name = "wrong-key"
match = 'wrong key of <USER> from <ADDR>'

[[patterns]]
name = "welcome"
kind = "success"
match = 'welcome <USER> from <ADDR>'

[[patterns]]
name = "no-book"
kind = "outage"
match = 'the book of names is lost'

[[hits]]
line = "May  1 06:43:08 mx door[1]: no entry at night"
kind = "ignore"

[[hits]]
line = "May  1 06:43:08 mx door[1]: no entry for bob from 192.0.2.1"
address = "192.0.2.1"
user = "bob"

[[hits]]
line = "May  1 06:43:08 mx door[1]: wrong key of bob from 192.0.2.1"
address = "192.0.2.1"
user = "bob"

[[hits]]
line = "May  1 06:43:08 mx door[1]: welcome bob from 192.0.2.1"
kind = "success"
address = "192.0.2.1"
user = "bob"

[[hits]]
line = "May  1 06:43:08 mx door[1]: the book of names is lost"
kind = "outage"
"""

#: Catches `turned away ADDRESS`, without a user and whether or not the book is lost.
GATE = r"""
description = "A gate"
tag = 'gate: '
suspects = ["turned", "no entry"]

[[patterns]]
name = "turned-away"
match = 'turned away <ADDR>'

[[hits]]
line = "May  1 06:43:08 mx gate: turned away 192.0.2.1"
address = "192.0.2.1"
"""

CONFIG = """
[defaults]
ignore = ["198.51.100.0/24"]

[sources.doors]
path = "/var/log/doors"
timezone = "UTC"

[sources.gates]
path = "/var/log/gates"
timezone = "UTC"

[jails.door]
source = "doors"
filter = "door"

[jails.strict]
source = "doors"
filter = "door"
accounts = "unknown"
maxretry = 1
bantime = "permanent"

[jails.gate]
source = "gates"
filter = "gate"
maxretry = 2
bantime = "1h"

[jails.asleep]
enabled = false
source = "gates"
filter = "gate"
maxretry = 1
"""


class Hall:
    """A folder with a configuration and logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = self.write("mailbanned.toml", CONFIG)
        self.write("filters/door.toml", DOOR)
        self.write("filters/gate.toml", GATE)

    def write(self, name: str, data: str | bytes) -> Path:
        """One file of the folder."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def log(self, *lines: str, name: str = "log") -> Path:
        """A log of these lines."""
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
        """What is found in one jail."""
        (jail,) = self.document("--jail", name, *arguments)["jails"]
        assert jail["name"] == name
        found: dict[str, Any] = jail
        return found

    def refusal(self, *arguments: object, status: int, stdin: str | bytes = "") -> str:
        """The one sentence with which `mailbanned test ARGUMENTS` refuses."""
        result = self.run("test", *arguments, stdin=stdin)
        assert (result.returncode, result.stdout) == (status, "")
        (sentence,) = result.stderr.splitlines()
        return sentence.removeprefix("mailbanned: ")

    def terminal(self, *arguments: object, columns: int = 100, **env: str) -> str:
        """What a terminal is sent by `mailbanned ARGUMENTS`, errors included."""
        command = shlex.join([MAILBANNED, "-c", str(self.config), *map(str, arguments)])
        result = subprocess.run(
            ["script", "-qec", command, "/dev/null"], stdin=subprocess.DEVNULL,
            capture_output=True, timeout=HANG_S, check=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns), **env},
        )  # fmt: skip
        return result.stdout.decode("utf-8", "replace")


def at(clock: str, text: str) -> str:
    """A line of 1 May 2026, UTC; clock: "06:43:08"."""
    return f"2026-05-01T{clock}+00:00 mx {text}"


def refused(clock: str, address: str = A, user: str = "bob", session: int = 1) -> str:
    """A failure at a door."""
    return at(clock, f"door[{session}]: no entry for {user} from {address}")


def turned(clock: str, address: str = A) -> str:
    """A failure at the gate."""
    return at(clock, f"gate: turned away {address}")

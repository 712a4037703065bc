"""Configuration folders for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailbanned.config import Config, ConfigError
from mailbanned.config.load import load

#: A filter that catches `door: no entry for USER from ADDRESS`.
DOOR = """
description = "A door that lets nobody in"
tag = 'door: '

[[patterns]]
name = "refused"
literal = "no entry for"
match = 'no entry for <USER> from <ADDR>'

[[hits]]
line = "May  1 06:43:08 mx door: no entry for bob from 192.0.2.1"
address = "192.0.2.1"
user = "bob"

[[misses]]
line = "May  1 06:43:08 mx door: welcome bob from 192.0.2.1"
"""

#: A source and a jail, all that a configuration needs.
SMALL = """
[sources.door]
path = "/var/log/door"

[jails.door]
source = "door"
filter = "door"
"""


class Folder:
    """A configuration folder: main.toml, conf.d/ and filters/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.main = path / "main.toml"
        self.write("filters/door.toml", DOOR)

    def write(self, name: str, text: str) -> Path:
        """Writes one file of the folder."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def load(self, main: str | None = None) -> Config:
        """Loads main.toml, which says `main`."""
        if main is not None:
            self.write("main.toml", main)
        return load(self.main)

    def errors(self, main: str | None = None) -> list[str]:
        """What is wrong with the folder, with its path written as "DIR"."""
        with pytest.raises(ConfigError) as caught:
            self.load(main)
        assert str(caught.value) == "\n".join(map(str, caught.value.problems))
        return str(caught.value).replace(str(self.path), "DIR").split("\n")

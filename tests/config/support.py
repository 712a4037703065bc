"""Configuration folders for the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailbanned.config import Config, ConfigError
from mailbanned.config.load import load

#: A filter that catches `app: login failed for USER from ADDRESS`.
APP = """
description = "Logins that an application refuses"
tag = 'app: '

[[patterns]]
name = "failed-login"
literal = "login failed for"
match = 'login failed for <USER> from <ADDR>'

[[hits]]
line = "May  1 06:43:08 mx app: login failed for bob from 192.0.2.1"
address = "192.0.2.1"
user = "bob"

[[misses]]
line = "May  1 06:43:08 mx app: login of bob from 192.0.2.1"
"""

#: A source and a jail, all that a configuration needs.
SMALL = """
[sources.app]
path = "/var/log/app"

[jails.app]
source = "app"
filter = "app"
"""


class Folder:
    """A configuration folder: main.toml, conf.d/ and filters/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.main = path / "main.toml"
        self.write("filters/app.toml", APP)

    def write(self, name: str, text: str) -> Path:
        """Writes one file of the folder."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def load(self, main: str | None = None) -> Config:
        """Loads main.toml, after it has been written if `main` is given."""
        if main is not None:
            self.write("main.toml", main)
        return load(self.main)

    def errors(self, main: str | None = None) -> list[str]:
        """The errors of the folder, with its path written as "DIR"."""
        with pytest.raises(ConfigError) as caught:
            self.load(main)
        assert str(caught.value) == "\n".join(map(str, caught.value.problems))
        return str(caught.value).replace(str(self.path), "DIR").split("\n")

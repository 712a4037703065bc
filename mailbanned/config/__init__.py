"""TOML -> frozen configuration. Reports every error at once, each with file, key and remedy.

    values.py      Config, Problem, ConfigError: what others hold of it
    load.py        files -> Config; schema.py, units.py, filterfile.py, problems.py are its parts
    apart.py       the same in a process of its own, for the daemon
    docs.py        the page of all options

`load` is imported by its own name (mailbanned.config.load): it brings the validating library.
"""

from mailbanned.config.config import SHIPPED, Config, ConfigError, Problem

__all__ = ["SHIPPED", "Config", "ConfigError", "Problem"]

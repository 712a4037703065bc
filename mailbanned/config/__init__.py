"""TOML -> frozen Config. Reports every error at once, each with file, key and remedy.

    config.py      Config, Problem, ConfigError
    options.py     the tables, each option one field
    load.py        files -> Config, with filterfile.py (filters) and errors.py (validation)
    isolated.py    the same in a child process, for the daemon
    reference.py   writes docs/configuration.md

Import `load` from mailbanned.config.load: it brings pydantic, which the daemon does without.
"""

from mailbanned.config.config import SHIPPED, Config, ConfigError, Problem

__all__ = ["SHIPPED", "Config", "ConfigError", "Problem"]

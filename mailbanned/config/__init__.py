"""TOML -> frozen configuration. Reports every error at once, each with file, key and remedy."""

from mailbanned.config.load import SHIPPED, Config, load
from mailbanned.config.problems import ConfigError, Problem
from mailbanned.config.schema import AccountsTable, FirewallTable, SourceTable

__all__ = [
    "SHIPPED",
    "AccountsTable",
    "Config",
    "ConfigError",
    "FirewallTable",
    "Problem",
    "SourceTable",
    "load",
]

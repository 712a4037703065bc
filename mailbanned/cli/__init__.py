"""The command line: one file for each command."""

from mailbanned.cli.main import main

__all__ = ["main"]

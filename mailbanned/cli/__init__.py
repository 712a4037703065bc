"""The command line: one file a verb, registered here."""

from mailbanned.cli.main import main

__all__ = ["main"]

"""The unix socket between the command line and the daemon: protocol, server, client."""

from mailbanned.control.client import ask
from mailbanned.control.protocol import ControlError, Denied, Refused, Unreachable
from mailbanned.control.server import Command, ControlServer

__all__ = [
    "Command",
    "ControlError",
    "ControlServer",
    "Denied",
    "Refused",
    "Unreachable",
    "ask",
]

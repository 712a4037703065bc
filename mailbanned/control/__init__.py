"""The unix socket between the command line and the daemon: protocol, server, client.

The server is imported by its own name (mailbanned.control.server), so that the command line does
not wait for what only the daemon needs.
"""

from mailbanned.control.client import ask
from mailbanned.control.protocol import DEFAULT_SOCKET, ControlError, Denied, Refused, Unreachable

__all__ = ["DEFAULT_SOCKET", "ControlError", "Denied", "Refused", "Unreachable", "ask"]
